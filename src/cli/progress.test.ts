import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Clock } from '../sys/mod.ts'
import { jsonProgress, movingProgress, plainProgress } from './progress.ts'
import type { Screen } from './verb.ts'

class FakeClock implements Clock {
  ms = 0
  nowMs(): number {
    return this.ms
  }
  monotonicMs(): number {
    return this.ms
  }
}

const ESC = '\x1b'
const ERASE = '\r\x1b[J'

function splitAt(text: string, mark: string): readonly string[] {
  const at = text.indexOf(mark)
  return [text.slice(0, at), text.slice(at + mark.length)]
}

/** A terminal as far as moving lines need one: lines, cursor up, erase to the end. */
class FakeTerminal implements Screen {
  readonly lines: string[] = []
  write(text: string): void {
    const [up = '', rest = ''] = /^.\[\d+A/s.test(text) ? splitAt(text.slice(2), 'A') : ['', text]
    const shown = rest.startsWith(ERASE) ? rest.slice(ERASE.length) : rest
    assert.ok(!shown.includes(ESC), `unexpected escape in ${JSON.stringify(text)}`)
    this.lines.splice(this.lines.length - Number(up))
    this.lines.push(...shown.split('\n').slice(0, -1))
  }
  columns(): number {
    return 60
  }
}

const MIB = 1024 * 1024

test('plain lines: start and end of each step, and its state every ten seconds', () => {
  const clock = new FakeClock()
  const lines: string[] = []
  const { report } = plainProgress(line => lines.push(line), clock)
  report({ kind: 'plan', steps: 2 })
  report({ kind: 'step-start', id: 'a', title: 'fetch packages' })
  for (clock.ms = 1000; clock.ms <= 12_000; clock.ms += 1000) {
    report({ kind: 'step-progress', id: 'a', bytesDone: (clock.ms / 1000) * 4 * MIB, bytesTotal: 400 * MIB })
  }
  report({ kind: 'step-end', id: 'a', state: 'built', ms: 64_000 })
  report({ kind: 'step-start', id: 'b', title: 'install' })
  report({ kind: 'note', text: 'bad\x1b[2J' })
  report({ kind: 'step-end', id: 'b', state: 'cached', ms: 0 })
  assert.deepEqual(lines, [
    '[1/2] fetch packages',
    '[1/2] fetch packages: 40.0 MiB of 400.0 MiB, 4.0 MiB/s, 1 min 30 s left',
    '[1/2] fetch packages: built in 1 min 04 s',
    '[2/2] install',
    '  bad\\x1b[2J',
    '[2/2] install: known already',
  ])
})

test('the rate is that of the last ten seconds, not of the whole step', () => {
  const clock = new FakeClock()
  const lines: string[] = []
  const { report } = plainProgress(line => lines.push(line), clock, 30_000)
  report({ kind: 'step-start', id: 'a', title: 'fetch' })
  for (clock.ms = 1000; clock.ms <= 30_000; clock.ms += 1000) {
    const slow = Math.min(clock.ms, 15_000) / 1000
    const fast = Math.max(0, clock.ms - 15_000) / 1000
    report({ kind: 'step-progress', id: 'a', bytesDone: (slow + fast * 8) * MIB })
  }
  assert.equal(lines.at(-1), 'fetch: 135.0 MiB, 8.0 MiB/s')
})

test('moving lines: ended steps stay above, running steps are drawn again in place, close() takes them away', () => {
  const clock = new FakeClock()
  const terminal = new FakeTerminal()
  const view = movingProgress(terminal, clock)
  view.report({ kind: 'step-start', id: 'a', title: 'first' })
  view.report({ kind: 'step-start', id: 'b', title: 'second' })
  clock.ms = 500
  view.tick()
  assert.deepEqual(terminal.lines, ['⠴ first  500 ms', '⠴ second  500 ms'])
  view.report({ kind: 'step-end', id: 'a', state: 'built', ms: 500 })
  assert.deepEqual(terminal.lines, ['✓ first  built in 500 ms', '⠴ second  500 ms'])
  view.report({ kind: 'note', text: 'half way' })
  view.report({ kind: 'step-end', id: 'b', state: 'failed', ms: 700 })
  view.report({ kind: 'step-start', id: 'c', title: 'third' })
  view.close()
  assert.deepEqual(terminal.lines, ['✓ first  built in 500 ms', '  half way', '✗ second  failed after 700 ms'])
})

test('a moving line never wraps', () => {
  const terminal = new FakeTerminal()
  const view = movingProgress(terminal, new FakeClock())
  view.report({ kind: 'step-start', id: 'a', title: `${'x'.repeat(200)}` })
  assert.equal(terminal.lines[0]?.length, 59)
  assert.match(terminal.lines[0] ?? '', /…$/)
})

test('moving lines are drawn at most ten times a second, however many events come', () => {
  const clock = new FakeClock()
  let writes = 0
  const write = (): void => {
    writes += 1
  }
  const view = movingProgress({ write, columns: () => 80 }, clock)
  view.report({ kind: 'step-start', id: 'a', title: 'x' })
  for (clock.ms = 0; clock.ms < 1000; clock.ms += 1)
    view.report({ kind: 'step-progress', id: 'a', itemsDone: clock.ms })
  assert.equal(writes, 10)
})

test('JSON lines: every event with the time since the start, step-progress thinned out', () => {
  const clock = new FakeClock()
  const lines: string[] = []
  const { report } = jsonProgress(line => lines.push(line), clock)
  clock.ms = 5
  report({ kind: 'step-start', id: 'a', title: 'x' })
  for (let index = 0; index < 100; index++) report({ kind: 'step-progress', id: 'a', itemsDone: index })
  clock.ms = 300
  report({ kind: 'step-progress', id: 'a', itemsDone: 100, itemsTotal: 100 })
  report({ kind: 'step-end', id: 'a', state: 'built', ms: 295 })
  assert.deepEqual(
    lines.map(line => JSON.parse(line) as unknown),
    [
      { elapsedMs: 5, kind: 'step-start', id: 'a', title: 'x' },
      { elapsedMs: 5, kind: 'step-progress', id: 'a', itemsDone: 0 },
      { elapsedMs: 300, kind: 'step-progress', id: 'a', itemsDone: 100, itemsTotal: 100 },
      { elapsedMs: 300, kind: 'step-end', id: 'a', state: 'built', ms: 295 },
    ],
  )
})
