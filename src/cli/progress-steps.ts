/** What the progress views know: the steps that run, how far each is, how fast, and how much time is left. */
import type { Clock, ProgressCounts, ProgressEvent } from '../sys/mod.ts'
import { formatBytes, formatCount, formatDuration, formatRate, printable } from './format.ts'

export interface Step {
  readonly label: string
  readonly startMs: number
  counts: ProgressCounts
  /** When its state was last said on a plain line. */
  saidMs: number
  /** Bytes or items done at moments of the last seconds, oldest first: the rate is taken over them. */
  samples: { readonly atMs: number; readonly done: number }[]
}

const RATE_WINDOW_MS = 10_000
/** Events come faster than rates change: one sample in this time is kept. */
const SAMPLE_MS = 100

/** The steps that run, with what is known of each. */
export class Steps {
  readonly #clock: Clock
  readonly #running = new Map<string, Step>()
  #started = 0
  #planned: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  running(): Iterable<Step> {
    return this.#running.values()
  }

  /** Takes an event in and returns the step that it is about. */
  apply(event: ProgressEvent): Step | undefined {
    const nowMs = this.#clock.monotonicMs()
    if (event.kind === 'plan') this.#planned = event.steps
    if (event.kind === 'step-start') {
      this.#started += 1
      const place = this.#planned === undefined ? '' : `[${this.#started}/${this.#planned}] `
      const label = `${place}${printable(event.title)}`
      this.#running.set(event.id, { label, startMs: nowMs, counts: {}, saidMs: nowMs, samples: [] })
    }
    if (event.kind === 'plan' || event.id === undefined) return undefined
    const step = this.#running.get(event.id)
    if (event.kind === 'step-end') this.#running.delete(event.id)
    if (event.kind === 'step-progress' && step !== undefined) {
      step.counts = { ...step.counts, ...event }
      addSample(step, nowMs)
    }
    return step
  }

  /** `12.0 MiB of 40.0 MiB, 4.0 MiB/s, 7.0 s left` as far as known, else the time since the start. */
  stateOf(step: Step): string {
    const { bytesDone, bytesTotal, itemsDone, itemsTotal } = step.counts
    const parts: string[] = []
    if (bytesDone !== undefined) parts.push(doneOf(bytesDone, bytesTotal, formatBytes))
    if (itemsDone !== undefined) parts.push(`${doneOf(itemsDone, itemsTotal, formatCount)} items`)
    const perSecond = rateOf(step)
    if (bytesDone !== undefined && perSecond !== undefined) parts.push(formatRate(perSecond))
    const left = leftOf(step)
    if (left !== undefined && perSecond !== undefined && perSecond > 0) {
      parts.push(`${formatDuration((left / perSecond) * 1000)} left`)
    }
    if (parts.length === 0) parts.push(formatDuration(this.#clock.monotonicMs() - step.startMs))
    return parts.join(', ')
  }
}

function doneOf(done: number, total: number | undefined, format: (value: number) => string): string {
  return total === undefined ? format(done) : `${format(done)} of ${format(total)}`
}

/** What is measured: bytes where they are known, else items. */
function measured({ counts }: Step): { readonly done: number | undefined; readonly total: number | undefined } {
  if (counts.bytesDone !== undefined) return { done: counts.bytesDone, total: counts.bytesTotal }
  return { done: counts.itemsDone, total: counts.itemsTotal }
}

function leftOf(step: Step): number | undefined {
  const { done, total } = measured(step)
  return done === undefined || total === undefined ? undefined : Math.max(0, total - done)
}

function addSample(step: Step, atMs: number): void {
  const { done } = measured(step)
  if (done === undefined) return
  const before = step.samples.at(-2)
  if (before !== undefined && atMs - before.atMs < SAMPLE_MS) step.samples.pop()
  step.samples.push({ atMs, done })
  // The first sample that is kept lies at or before the start of the window, so that a slow step has a rate too.
  while ((step.samples[1]?.atMs ?? Number.POSITIVE_INFINITY) <= atMs - RATE_WINDOW_MS) step.samples.shift()
}

function rateOf(step: Step): number | undefined {
  const first = step.samples[0]
  const last = step.samples.at(-1)
  if (first === undefined || last === undefined) return undefined
  const from = first === last ? { atMs: step.startMs, done: 0 } : first
  const ms = last.atMs - from.atMs
  return ms <= 0 ? undefined : ((last.done - from.done) / ms) * 1000
}
