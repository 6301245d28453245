import { bashCompletion, fishCompletion, zshCompletion } from '../completion.ts'
import type { Verb } from '../verb.ts'
import { VERBS } from '../verbs.ts'

const MAKERS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }

export const verb: Verb = {
  name: 'completion',
  group: 'Host',
  summary: 'print a script that completes verbs and options in your shell',
  description:
    'bash: source <(asl completion bash)\n' +
    'zsh:  source <(asl completion zsh)\n' +
    'fish: asl completion fish | source',
  args: [{ name: 'SHELL', summary: 'bash, zsh or fish', choices: Object.keys(MAKERS) }],
  async run(context, input) {
    const maker = MAKERS[input.arg('SHELL') as keyof typeof MAKERS]
    const verbs = await Promise.all(Object.values(VERBS).map(entry => entry.load()))
    context.write(Buffer.from(maker(verbs)))
    return 0
  },
}
