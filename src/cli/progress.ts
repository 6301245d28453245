/**
 * Who listens to long work: moving lines on a terminal, plain lines elsewhere, JSON lines for programs. All of it is
 * talk, so it goes to standard error.
 */
import { AslError } from '../core/mod.ts'
import type { Clock, Progress, ProgressEvent } from '../sys/mod.ts'
import { formatDuration, printable } from './format.ts'
import { Steps } from './progress-steps.ts'
import { textWidth } from './table.ts'
import type { Context, OptionSpec, Screen } from './verb.ts'

export const PROGRESS_OPTION: OptionSpec = {
  flags: '--progress KIND',
  summary: 'how long work tells how far it is',
  choices: ['auto', 'lines', 'json', 'none'],
  defaultText: 'auto: moving lines on a terminal, plain lines elsewhere',
}

export interface ProgressView {
  readonly report: Progress
  /** Takes the moving lines away; call it in `finally`, before anything else is said. */
  close(): void
}

/** The view that `--progress` asks for. @throws AslError USAGE for a kind that is not in the table */
export function openProgress(context: Context, kind = 'auto'): ProgressView {
  const { clock, say, screen } = context
  switch (kind) {
    case 'none':
      return { report: () => {}, close: () => {} }
    case 'json':
      return jsonProgress(say, clock)
    case 'lines':
      return plainProgress(say, clock)
    case 'auto':
      return screen === undefined ? plainProgress(say, clock) : animate(movingProgress(screen, clock))
    default:
      throw new AslError('USAGE', `--progress wants one of ${PROGRESS_OPTION.choices?.join(', ')}, not "${kind}"`)
  }
}

/** Every event as a line with `ms` since the start; of the many step-progress events one in `everyMs` for each step. */
export function jsonProgress(say: (line: string) => void, clock: Clock, everyMs = 250): ProgressView {
  const startMs = clock.monotonicMs()
  const saidMs = new Map<string, number>()
  const report = (event: ProgressEvent): void => {
    const nowMs = clock.monotonicMs()
    if (event.kind === 'step-progress') {
      if (nowMs - (saidMs.get(event.id) ?? Number.NEGATIVE_INFINITY) < everyMs) return
      saidMs.set(event.id, nowMs)
    }
    say(JSON.stringify({ elapsedMs: Math.round(nowMs - startMs), ...event }))
  }
  return { report, close: () => {} }
}

/** A line when a step starts and ends, and one every `everyMs` while it runs. */
export function plainProgress(say: (line: string) => void, clock: Clock, everyMs = 10_000): ProgressView {
  const steps = new Steps(clock)
  const report = (event: ProgressEvent): void => {
    const step = steps.apply(event)
    if (event.kind === 'note') say(`  ${printable(event.text)}`)
    if (step === undefined) return
    if (event.kind === 'step-start') say(step.label)
    if (event.kind === 'step-end') say(`${step.label}: ${endText(event)}`)
    if (event.kind !== 'step-progress' || clock.monotonicMs() - step.saidMs < everyMs) return
    step.saidMs = clock.monotonicMs()
    say(`${step.label}: ${steps.stateOf(step)}`)
  }
  return { report, close: () => {} }
}

export interface MovingView extends ProgressView {
  /** Draws again: called by a timer, so that times move on when no event comes. */
  tick(): void
}

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏']
const FRAME_MS = 100

/** Ended steps stay above as ordinary lines; below them one line for each step that runs is drawn again and again. */
export function movingProgress(screen: Screen, clock: Clock): MovingView {
  const steps = new Steps(clock)
  let drawn = 0
  let drawnMs = Number.NEGATIVE_INFINITY
  const fit = (line: string): string => cut(line, Math.max(20, screen.columns() - 1))
  const draw = (above: readonly string[] = []): void => {
    drawnMs = clock.monotonicMs()
    const frame = FRAMES[Math.floor(drawnMs / FRAME_MS) % FRAMES.length] as string
    const moving = [...steps.running()].map(step => fit(`${frame} ${step.label}  ${steps.stateOf(step)}`))
    const back = drawn === 0 ? '' : `\x1b[${drawn}A` // cursor up to the first moving line
    screen.write(`${back}\r\x1b[J${[...above, ...moving].map(line => `${line}\n`).join('')}`)
    drawn = moving.length
  }
  const report = (event: ProgressEvent): void => {
    const step = steps.apply(event)
    if (event.kind === 'note') draw([fit(`  ${printable(event.text)}`)])
    else if (event.kind === 'step-end' && step !== undefined) {
      draw([fit(`${event.state === 'failed' ? '✗' : '✓'} ${step.label}  ${endText(event)}`)])
    } else if (event.kind === 'step-start' || clock.monotonicMs() - drawnMs >= FRAME_MS) draw()
  }
  const close = (): void => {
    if (drawn > 0) screen.write(`\x1b[${drawn}A\r\x1b[J`)
    drawn = 0
  }
  return { report, close, tick: draw }
}

function animate(view: MovingView): ProgressView {
  const timer = setInterval(() => view.tick(), FRAME_MS)
  timer.unref()
  const close = (): void => {
    clearInterval(timer)
    view.close()
  }
  return { report: view.report, close }
}

function endText(event: Extract<ProgressEvent, { kind: 'step-end' }>): string {
  if (event.state === 'cached') return 'known already'
  return `${event.state === 'failed' ? 'failed after' : 'built in'} ${formatDuration(event.ms)}`
}

/** Cuts a line at the edge of the screen: a line that wraps would be two when it is drawn again. */
function cut(line: string, columns: number): string {
  if (textWidth(line) <= columns) return line
  let kept = ''
  let width = 1
  for (const char of line) {
    width += textWidth(char)
    if (width > columns) break
    kept += char
  }
  return `${kept}…`
}
