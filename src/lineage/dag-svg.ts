import type { Dag, DagEdge, DagNode, DagNodeKind } from './dag-model.ts'
import { type Mosaic, mosaicOf } from './dag-mosaic.ts'
import { type EdgePath, type Layout, layoutGraph } from './graph-layout.ts'
import {
  DETAIL_STYLE,
  EDGE_COLOURS,
  HEADING_STYLE,
  KIND_COLOURS,
  SUMMARY_STYLE,
  svgDocument,
  TITLE_STYLE,
} from './picture.ts'
import { formatCount, formatSize } from './size-text.ts'
import { element, escapeXml, fitText, formatNumber, textWidth } from './svg.ts'

/** Draws a folded history: boxes and arrows from cause to effect, top to bottom. */
export async function drawDag(dag: Dag): Promise<string> {
  const boxes = dag.nodes.map(boxOf)
  const layout = await layoutGraph({
    nodes: boxes.map(({ node, width, height }) => ({ id: node.id, width, height })),
    edges: dag.edges.map(edge => ({ from: edge.from, to: edge.to, weight: edge.kind === 'change' ? 12 : 2 })),
  })
  const heading = headingOf(dag)
  const width = Math.max(layout.width + 2 * MARGIN, heading.width + 2 * MARGIN)
  const left = (width - layout.width) / 2
  const body = element(
    'g',
    { transform: `translate(${formatNumber(left)} ${formatNumber(heading.height + MARGIN)})` },
    [...dag.edges.map((edge, i) => drawEdge(edge, layout.edges[i])), ...boxes.map(box => drawBox(box, layout))],
  )
  return svgDocument(width, heading.height + layout.height + 2 * MARGIN, dag.title, [...heading.markup, body])
}

const MARGIN = 28

const LEGEND: readonly (readonly [DagNodeKind, string])[] = [
  ['step', 'step'],
  ['tree', 'tree'],
  ['download', 'download'],
  ['overlay', 'overlay'],
  ['file', 'file'],
  ['image', 'image'],
]

const EDGE_LEGEND: readonly (readonly [DagEdge['kind'], string])[] = [
  ['change', 'tree that is changed'],
  ['data', 'used, made'],
  ['root', 'tree that the step ran in'],
]

interface Box {
  readonly node: DagNode
  readonly width: number
  readonly height: number
  readonly title: string
  readonly lines: readonly string[]
  readonly mosaic: Mosaic | undefined
}

const BOX = { padding: 12, minWidth: 96, maxWidth: 330, titleHeight: 17, lineHeight: 15 }

function boxOf(node: DagNode): Box {
  const room = BOX.maxWidth - 2 * BOX.padding
  const title = fitText(node.title, room, TITLE_STYLE)
  const lines = node.lines.map(line => fitText(line, room, DETAIL_STYLE))
  const widest = Math.max(textWidth(title, TITLE_STYLE), ...lines.map(line => textWidth(line, DETAIL_STYLE)))
  const mosaic = mosaicOf(node.members ?? [])
  return {
    node,
    title,
    lines,
    mosaic,
    width: Math.max(BOX.minWidth, Math.ceil(widest) + 2 * BOX.padding, (mosaic?.width ?? 0) + 2 * BOX.padding),
    height: textHeight(lines) + (mosaic === undefined ? 0 : mosaic.height + BOX.padding),
  }
}

function textHeight(lines: readonly string[]): number {
  return 2 * 8 + BOX.titleHeight + lines.length * BOX.lineHeight
}

function drawBox({ node, width, height, title, lines, mosaic }: Box, layout: Layout): string {
  const centre = layout.nodes.get(node.id) ?? { x: 0, y: 0 }
  const [x, y] = [centre.x - width / 2, centre.y - height / 2]
  const { fill, line } = KIND_COLOURS[node.kind]
  const isStep = node.kind === 'step'
  const shape = { width, height, rx: isStep ? 3 : 12, fill, stroke: line }
  const stack = node.count > 1 ? [element('rect', { ...shape, x: x + 4, y: y + 4 })] : []
  const text = (content: string, row: number, style: string): string =>
    element('text', { x: centre.x, y: y + 8 + row, 'text-anchor': 'middle', class: style }, [escapeXml(content)])
  const inside = mosaic === undefined ? [] : [mosaic.draw(x + (width - mosaic.width) / 2, y + textHeight(lines))]
  const group = element('g', { id: node.id }, [
    `<title>${escapeXml(node.tooltip.join('\n'))}</title>`,
    ...stack,
    element('rect', { ...shape, x, y, 'stroke-width': isStep ? 1.6 : 1.1 }),
    text(title, 12.5, 't'),
    ...lines.map((content, i) => text(content, BOX.titleHeight + 10.5 + i * BOX.lineHeight, 'd')),
    ...inside,
  ])
  return node.href === undefined ? group : element('a', { href: node.href }, [group])
}

function drawEdge(edge: DagEdge, path: EdgePath | undefined): string {
  const [start, ...rest] = path?.points ?? []
  if (path === undefined || start === undefined) return ''
  const at = ({ x, y }: { x: number; y: number }): string => `${formatNumber(x)} ${formatNumber(y)}`
  const d = `M${at(start)}C${rest.map(at).join(' ')}${path.tip === undefined ? '' : `L${at(path.tip)}`}`
  return strokeOf(edge.kind, d)
}

function strokeOf(kind: DagEdge['kind'], d: string): string {
  return element('path', {
    d,
    fill: 'none',
    stroke: EDGE_COLOURS[kind],
    'stroke-width': kind === 'change' ? 2.2 : 1.2,
    'stroke-dasharray': kind === 'root' ? '4 3' : undefined,
    'marker-end': `url(#arrow-${kind})`,
  })
}

function headingOf(dag: Dag): { readonly width: number; readonly height: number; readonly markup: readonly string[] } {
  const { steps, artifacts, sizeBytes } = dag.totals
  const boxes = dag.nodes.length < steps + artifacts ? ` in ${formatCount(dag.nodes.length, 'box', 'boxes')}` : ''
  const summary = `${formatCount(steps, 'step')}, ${formatCount(artifacts, 'artifact')}${boxes}${sizeBytes === 0 ? '' : `, ${formatSize(sizeBytes)}`}`
  const title = fitText(dag.title, 900, HEADING_STYLE)
  const legend = legendOf(MARGIN, 82)
  const widths = [textWidth(title, HEADING_STYLE), textWidth(summary, SUMMARY_STYLE), legend.width]
  return {
    width: Math.max(...widths),
    height: 96,
    markup: [
      element('text', { x: MARGIN, y: 40, class: 'h' }, [escapeXml(title)]),
      element('text', { x: MARGIN, y: 61, class: 's' }, [escapeXml(summary)]),
      legend.markup,
    ],
  }
}

function legendOf(x: number, y: number): { readonly width: number; readonly markup: string } {
  let at = x
  const entries = LEGEND.map(([kind, label]) => {
    const { fill, line } = KIND_COLOURS[kind]
    const rx = kind === 'step' ? 2 : 5
    const box = element('rect', { x: at, y: y - 9, width: 16, height: 11, rx, fill, stroke: line })
    const text = element('text', { x: at + 22, y, class: 'd' }, [label])
    at += 22 + textWidth(label, DETAIL_STYLE) + 16
    return box + text
  })
  const arrows = EDGE_LEGEND.map(([kind, label]) => {
    const d = `M${formatNumber(at)} ${y - 4}h26`
    const text = element('text', { x: at + 34, y, class: 'd' }, [label])
    at += 34 + textWidth(label, DETAIL_STYLE) + 16
    return strokeOf(kind, d) + text
  })
  return { width: at - x, markup: element('g', {}, [...entries, ...arrows]) }
}
