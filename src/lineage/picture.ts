import type { DagEdge, DagNodeKind } from './dag-model.ts'
import { element, escapeXml, FONT_MONO, FONT_SANS, type TextStyle } from './svg.ts'

/** What all pictures of this room share: white paper, one style sheet, arrow heads, and a colour for each kind of thing. */
export function svgDocument(width: number, height: number, title: string, children: readonly string[]): string {
  const [w, h] = [Math.ceil(width), Math.ceil(height)]
  return `<?xml version="1.0" encoding="UTF-8"?>\n${element(
    'svg',
    { xmlns: 'http://www.w3.org/2000/svg', width: w, height: h, viewBox: `0 0 ${w} ${h}`, role: 'img' },
    [
      `<title>${escapeXml(title)}</title>`,
      `<style>${STYLE}</style>`,
      `<defs>${Object.entries(EDGE_COLOURS).map(arrowHead).join('')}</defs>`,
      element('rect', { width: w, height: h, fill: '#ffffff' }),
      '\n',
      ...children.map(child => `${child}\n`),
    ],
  )}\n`
}

export const HEADING_STYLE: TextStyle = { sizePx: 20, isBold: true }
export const SUMMARY_STYLE: TextStyle = { sizePx: 12.5 }
export const TITLE_STYLE: TextStyle = { sizePx: 13, isBold: true }
export const DETAIL_STYLE: TextStyle = { sizePx: 11 }
export const SMALL_STYLE: TextStyle = { sizePx: 10 }

/** The classes are the styles above, and the four weights of tiles. */
const STYLE = [
  `text{font-family:${FONT_SANS};fill:#1b2733}`,
  `.m{font-family:${FONT_MONO}}`,
  '.h{font-size:20px;font-weight:600}',
  '.s{font-size:12.5px;fill:#46535f}',
  '.t{font-size:13px;font-weight:600}',
  '.d{font-size:11px;fill:#46535f}',
  '.i{font-style:italic}',
  '.l{font-size:10px;fill:#46535f}',
  '.q0{fill:#b9c7d3}.q1{fill:#8aa3b8}.q2{fill:#567a99}.q3{fill:#24507a}',
].join('')

export const EDGE_COLOURS: Readonly<Record<DagEdge['kind'], string>> = {
  change: '#2563a8',
  data: '#8593a0',
  root: '#8593a0',
}

/** Fill and edge of each kind of box; the text on all of them is dark. */
export const KIND_COLOURS: Readonly<Record<DagNodeKind | 'unknown', { readonly fill: string; readonly line: string }>> =
  {
    step: { fill: '#ffffff', line: '#1b2733' },
    tree: { fill: '#e6f2e4', line: '#4d8a44' },
    overlay: { fill: '#efe7f8', line: '#7d55b0' },
    package: { fill: '#fdf0d9', line: '#c08318' },
    index: { fill: '#fdf0d9', line: '#c08318' },
    download: { fill: '#fdf0d9', line: '#c08318' },
    file: { fill: '#eef1f4', line: '#7b8894' },
    receipt: { fill: '#f4f0ea', line: '#a08f74' },
    image: { fill: '#dcebfa', line: '#2563a8' },
    unknown: { fill: '#fbe3e1', line: '#b3382c' },
  }

function arrowHead([kind, colour]: readonly [string, string]): string {
  const size = { refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, orient: 'auto', markerUnits: 'userSpaceOnUse' }
  return element('marker', { id: `arrow-${kind}`, viewBox: '0 0 8 8', ...size }, [
    element('path', { d: 'M0.5 0.8L7.5 4L0.5 7.2z', fill: colour }),
  ])
}
