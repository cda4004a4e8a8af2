import type { TableEntry } from '#abi/generated.ts';
import { frontendText } from '../wanted/keys.ts';
import { type PortState, rangeText, retiredText, type State } from './state.ts';
import type { Step } from './steps.ts';

/** Updates the state after the kernel has taken a step; `now` in ms. */
export function recordStep(state: State, step: Step, now: number): void {
  const { port } = step;
  switch (step.kind) {
    case 'name':
      port.named = true;
      port.lostFrontends = step.element.value.lostFrontends;
      break;
    case 'unname':
      port.named = false;
      break;
    case 'admit':
    case 'retire':
      step.backend.flags = step.element.value.flags;
      state.retired.delete(retiredText(port, step.backend));
      if (step.backend.flags === 0) state.retired.set(retiredText(port, step.backend), now);
      break;
    case 'allow':
      port.sourceRanges.set(rangeText(step.element.key), step.element.key);
      break;
    case 'disallow':
      port.sourceRanges.delete(rangeText(step.element));
      break;
    case 'publish':
      publish(state, port, step.element);
      break;
    case 'withdraw':
      port.frontends.delete(frontendText(step.element));
      state.owners.delete(frontendText(step.element));
      break;
  }
}

function publish(state: State, port: PortState, entry: TableEntry<'frontends'>): void {
  const text = frontendText(entry.key);
  const before = state.owners.get(text);
  if (before !== port) before?.frontends.delete(text);
  port.frontends.set(text, entry);
  state.owners.set(text, port);
}
