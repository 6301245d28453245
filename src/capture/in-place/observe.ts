import { observeWithFanotify, whyNoFanotify } from './fanotify-observer.ts'
import type { CommandOrder, ObservedRun, ObserveOptions, Observer } from './observation.ts'
import { observeWithStrace, whyNoStrace } from './strace-observer.ts'
import { runUnobserved } from './unobserved.ts'

export interface ChosenObserver {
  readonly observer: Observer
  /** Why the better ones were not taken, for people. */
  readonly refusals: readonly string[]
  observe(command: CommandOrder, options: ObserveOptions): Promise<ObservedRun>
}

/**
 * The best observer that this machine and user allow: fanotify for root, strace for anybody. Where neither works the
 * command runs all the same, and only declared roots and outputs are known: tracing observes, it never prevents.
 */
export async function chooseObserver(wanted?: Observer): Promise<ChosenObserver> {
  const refusals: string[] = []
  if (wanted === undefined || wanted === 'fanotify') {
    const refusal = whyNoFanotify()
    if (refusal === undefined) return { observer: 'fanotify', refusals, observe: observeWithFanotify }
    refusals.push(refusal)
  }
  if (wanted === undefined || wanted === 'strace') {
    const refusal = await whyNoStrace()
    if (refusal === undefined) return { observer: 'strace', refusals, observe: observeWithStrace }
    refusals.push(refusal)
  }
  return { observer: 'walk', refusals, observe: runUnobserved }
}
