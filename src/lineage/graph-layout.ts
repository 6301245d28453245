/** A graph of boxes to be placed; sizes in pixels. Ids are ours, never names from a store. */
export interface LayoutRequest {
  readonly nodes: readonly { readonly id: string; readonly width: number; readonly height: number }[]
  readonly edges: readonly { readonly from: string; readonly to: string; readonly weight: number }[]
}

/** Pixels, y downwards, the top left corner of the drawing at 0,0. */
export interface Layout {
  readonly width: number
  readonly height: number
  /** Centres, by id. */
  readonly nodes: ReadonlyMap<string, Point>
  /** In the order of the request. */
  readonly edges: readonly EdgePath[]
}

export interface Point {
  readonly x: number
  readonly y: number
}

/** A start, then triples of two control points and an end; the tip is where the arrow points. */
export interface EdgePath {
  readonly points: readonly Point[]
  readonly tip: Point | undefined
}

/**
 * Places boxes in layers with Graphviz (docs/decisions/graph-layout.md). Its time grows faster than the graph, so what
 * is given here is folded first.
 */
export async function layoutGraph(request: LayoutRequest): Promise<Layout> {
  if (request.nodes.length === 0) return { width: 0, height: 0, nodes: new Map(), edges: [] }
  // Loaded on demand: the module holds a megabyte of WebAssembly.
  const { instance } = await import('@viz-js/viz')
  const viz = await instance()
  return parseLayout(viz.renderJSON(dotOf(request), { engine: 'dot' }) as GraphvizJson, request)
}

const POINTS_PER_INCH = 72

function dotOf({ nodes, edges }: LayoutRequest): string {
  const inches = (pixels: number): string => (pixels / POINTS_PER_INCH).toFixed(3)
  return [
    'digraph {',
    'graph [rankdir=TB nodesep=0.3 ranksep=0.45 splines=true]',
    'node [shape=box fixedsize=true label=""]',
    ...nodes.map(node => `${node.id} [width=${inches(node.width)} height=${inches(node.height)}]`),
    ...edges.map((edge, i) => `${edge.from} -> ${edge.to} [weight=${edge.weight} id=${i}]`),
    '}',
  ].join('\n')
}

/** What of Graphviz's `json` output we look at. */
interface GraphvizJson {
  readonly bb: string
  readonly objects?: readonly { readonly name: string; readonly pos: string }[]
  readonly edges?: readonly { readonly id: string; readonly pos: string }[]
}

function parseLayout(drawn: GraphvizJson, request: LayoutRequest): Layout {
  const [, , width = 0, height = 0] = drawn.bb.split(',').map(Number)
  const point = (text: string): Point => {
    const [x = 0, y = 0] = text.split(',').map(Number)
    return { x, y: height - y }
  }
  const paths = new Map((drawn.edges ?? []).map(edge => [edge.id, pathOf(edge.pos, point)]))
  return {
    width,
    height,
    nodes: new Map((drawn.objects ?? []).map(node => [node.name, point(node.pos)])),
    edges: request.edges.map((_, i) => paths.get(String(i)) ?? { points: [], tip: undefined }),
  }
}

/** `e,x,y` is the tip; the rest is the curve (Graphviz: splineType). */
function pathOf(pos: string, point: (text: string) => Point): EdgePath {
  const words = pos.split(' ')
  const tip = words.find(word => word.startsWith('e,'))
  const points = words.filter(word => !/^[es],/.test(word)).map(point)
  return { points, tip: tip === undefined ? undefined : point(tip.slice(2)) }
}
