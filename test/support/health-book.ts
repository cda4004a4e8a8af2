export { createHealthBook, type HealthBook } from '#reconcile/wanted/wanted-health.ts';
