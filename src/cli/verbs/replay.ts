import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { AslError } from '../../core/mod.ts'
import { type Replay, replayImage } from '../../image/mod.ts'
import { openHistory } from '../../lineage/mod.ts'
import { openProgress, PROGRESS_OPTION } from '../progress.ts'
import { tableLines } from '../table.ts'
import { type Context, JSON_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'replay',
  group: 'Build',
  summary: 'build an image again from what it carries, without network, and compare',
  description:
    'Works in a store of its own that is removed afterwards, or in --store when given. Exit status 0 says identical; ' +
    '11 that a step or a byte differs, and which is the first.',
  args: [{ name: 'IMAGE', summary: 'an ISO with a full history' }],
  options: [
    { flags: '--store DIR', summary: 'keep the rebuilt artifacts in this store', defaultText: 'a temporary one' },
    PROGRESS_OPTION,
    JSON_OPTION,
  ],
  run: replay,
}

async function replay(context: Context, input: VerbInput): Promise<undefined> {
  const image = resolve(context.cwd, input.arg('IMAGE'))
  const given = input.tryText('store')
  const storePath =
    given === undefined ? mkdtempSync(join(context.env.TMPDIR ?? tmpdir(), 'asl-replay-')) : resolve(context.cwd, given)
  const view = openProgress(context, input.tryText('progress') ?? 'auto')
  try {
    const options = { projectRoot: context.projectRoot, storePath, clock: context.clock, signal: context.signal }
    const done = await replayImage(image, openHistory(image), options, view.report)
    view.close()
    show(context, input, done)
  } finally {
    view.close()
    if (given === undefined) rmSync(storePath, { recursive: true, force: true })
  }
}

function show(context: Context, input: VerbInput, { steps, imageDifference, image }: Replay): void {
  const firstDifferent = steps.find(step => step.verdict === 'different')
  const isIdentical = imageDifference === undefined
  if (input.flag('json')) {
    context.print(JSON.stringify({ identical: isIdentical, image, image_difference: imageDifference ?? null, steps }))
  } else {
    const rows = steps.map(({ name, verdict, receiptRef }) => [name, verdict, receiptRef.slice(4, 16)])
    for (const line of tableLines(rows, { head: ['step', 'receipt is', 'receipt'] })) context.say(line)
  }
  if (isIdentical) {
    if (!input.flag('json')) context.print(`identical: ${image.name}, ${image.size} bytes, ${image.ref}`)
    return
  }
  const where = imageDifference.offset === undefined ? 'its length' : `byte ${imageDifference.offset}`
  throw new AslError('REPLAY_DIFFERS', `The rebuilt image differs from ${image.name} at ${where}`, {
    hint:
      firstDifferent === undefined
        ? 'Every recorded step was identical; the difference arose after the history was sealed.'
        : `The first step with another receipt: ${firstDifferent.name}`,
    details: { imageDifference, firstDifferentStep: firstDifferent?.name },
  })
}
