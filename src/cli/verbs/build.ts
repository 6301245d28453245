import { buildImage, openSession, prepareBuild } from '../../image/mod.ts'
import { mirrorsOf, storePathOf } from '../settings.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'build',
  group: 'Build',
  summary: 'build an image from a recipe, every step with a receipt',
  args: [{ name: 'RECIPE', summary: 'a recipe, such as recipes/auth-host.yaml' }],
  options: [
    STORE_OPTION,
    { flags: '--out DIR', summary: 'where the images go', defaultText: 'out in the project' },
    { flags: '--arch ARCH', summary: 'architecture', choices: ['amd64', 'arm64'] },
    JSON_OPTION,
  ],
  run: build,
}

async function build(context: Context, input: VerbInput): Promise<number | undefined> {
  const options = {
    projectRoot: context.projectRoot,
    storePath: storePathOf(context, input),
    clock: context.clock,
    signal: context.signal,
    mirrors: await mirrorsOf(context),
    note: (text: string) => context.say(text),
    recipePath: input.arg('RECIPE'),
  }
  const session = openSession(options)
  const sources = await prepareBuild(session, options)
  const host = session.host(sources.epoch, sources.archive)
  const result = await buildImage(sources, host, {
    onStep: (step, i) => context.say(`[${i + 1}] ${step.name}`),
    onStepEnd: done => context.say(`    ${done.state} in ${Math.round(done.wallMs)} ms`),
  })
  context.print(JSON.stringify(result.image))
  return 0
}
