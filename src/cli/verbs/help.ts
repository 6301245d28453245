import { runCommandLine } from '../command-line.ts'
import { commandPage } from '../reference.ts'
import type { Verb } from '../verb.ts'
import { VERBS } from '../verbs.ts'

export const verb: Verb = {
  name: 'help',
  group: 'Host',
  summary: 'show help for a verb, or the whole reference',
  args: [{ name: 'VERB', summary: 'the verb; all of them when it is left out', isOptional: true }],
  options: [{ flags: '--markdown', summary: 'print the reference page of all verbs' }],
  async run(context, input) {
    const name = input.tryArg('VERB')
    if (input.flag('markdown')) context.write(Buffer.from(await commandPage(VERBS)))
    else await runCommandLine(context, name === undefined ? ['--help'] : [name, '--help'], VERBS)
    return 0
  },
}
