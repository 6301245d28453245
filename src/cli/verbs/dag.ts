import { resolve } from 'node:path'
import { AslError, parseReference } from '../../core/mod.ts'
import { buildGraph, dagDot, dagOf, drawDag, type Graph, graphView, openHistory } from '../../lineage/mod.ts'
import { openStore, type StoreReader } from '../../store/mod.ts'
import { writeFileAtomic } from '../../sys/mod.ts'
import { storePathOf } from '../store-path.ts'
import { type Context, JSON_OPTION, STORE_OPTION, type Verb, type VerbInput } from '../verb.ts'

export const verb: Verb = {
  name: 'dag',
  group: 'Ask',
  summary: 'draw the history of a store or an image',
  description:
    'Steps from top to bottom, with what they used and made. What many steps or artifacts have in common is one box, so ' +
    'that the picture stays readable however long the history is; --full shows what is in each box. --json gives the ' +
    'whole graph as data, --dot the picture in the language of Graphviz.',
  args: [{ name: 'IMAGE', summary: 'an image, instead of a store', isOptional: true }],
  options: [
    STORE_OPTION,
    { flags: '--out FILE', summary: 'where the picture goes', defaultText: 'standard output' },
    { flags: '--from REF', summary: 'only what led to this artifact or receipt' },
    { flags: '--full', summary: 'also show what each box stands for, down to every file' },
    { flags: '--title TEXT', summary: 'what stands above the picture' },
    { flags: '--dot', summary: 'write DOT instead of SVG' },
    JSON_OPTION,
  ],
  run: dag,
}

async function dag(context: Context, input: VerbInput): Promise<undefined> {
  if (input.flag('json') && input.flag('dot')) throw new AslError('USAGE', '--json and --dot exclude each other')
  const image = input.tryArg('IMAGE')
  const store = image === undefined ? openStore(storePathOf(context, input)) : openHistory(resolve(context.cwd, image))
  try {
    const graph = buildGraph(store)
    const text = await render(input, store, graph, image ?? 'Lineage')
    const out = input.tryText('out')
    if (out === undefined) context.print(text.trimEnd())
    else writeFileAtomic(resolve(context.cwd, out), text)
    for (const finding of graph.findings) context.say(`asl: ${finding.message}`)
  } finally {
    store.close()
  }
}

async function render(input: VerbInput, store: StoreReader, graph: Graph, name: string): Promise<string> {
  const from = input.tryText('from')
  const part = from === undefined ? {} : { from: parseReference(from) }
  if (input.flag('json')) return `${JSON.stringify(graphView(store, graph, part.from))}\n`
  const title = input.tryText('title') ?? name
  const picture = dagOf(store, graph, { title, isFull: input.flag('full'), ...part })
  return input.flag('dot') ? dagDot(picture) : drawDag(picture)
}
