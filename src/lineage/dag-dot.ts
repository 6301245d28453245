import type { Dag, DagEdge } from './dag-model.ts'
import { KIND_COLOURS } from './picture.ts'

/** The same boxes and arrows in Graphviz's language, for other tools. */
export function dagDot(dag: Dag): string {
  return [
    'digraph lineage {',
    `  graph [rankdir=TB label=${quoted(dag.title)} labelloc=t fontname="Helvetica"]`,
    '  node [shape=box style="filled,rounded" fontname="Helvetica" fontsize=11]',
    ...dag.nodes.map(({ id, kind, title, lines, tooltip }) => {
      const { fill, line } = KIND_COLOURS[kind]
      const label = quoted([title, ...lines].join('\n'))
      return `  ${id} [label=${label} tooltip=${quoted(tooltip.join('\n'))} fillcolor="${fill}" color="${line}"]`
    }),
    ...dag.edges.map(({ from, to, kind }) => `  ${from} -> ${to}${EDGE_STYLES[kind]}`),
    '}',
    '',
  ].join('\n')
}

const EDGE_STYLES: Readonly<Record<DagEdge['kind'], string>> = {
  change: ' [penwidth=2]',
  data: '',
  root: ' [style=dashed]',
}

/** A quoted id of the language knows one escape of its own, the quote; backslashes start those of labels. */
function quoted(text: string): string {
  return `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`
}
