export { createHealthBook, type HealthBook } from '#reconcile/wanted/wanted-state.ts';
