import type { DagNodeKind } from './dag-model.ts'
import { DETAIL_STYLE, HEADING_STYLE, KIND_COLOURS, SUMMARY_STYLE, svgDocument, TITLE_STYLE } from './picture.ts'
import { element, escapeXml, fitText, formatNumber, textWidth } from './svg.ts'
import type { Whence, WhenceLink } from './whence-link.ts'
import { describeLink, fileLine, whenceHeading } from './whence-text.ts'

/** The chain as a picture: one card a link, top to bottom, and beside each arrow what the connection is known by. */
export function drawWhence(whence: Whence): string {
  const cards = whence.links.map(cardOf)
  const heading = headingLines(whence)
  const width = Math.max(...cards.map(card => card.width), ...heading.map(line => line.width), 420)
  const markup: string[] = heading.map(line => line.markup)
  let y = 92
  for (const card of cards) {
    if (card.proof !== undefined) {
      markup.push(arrow(MARGIN + 26, y, card.proof, width - 50))
      y += ARROW_HEIGHT
    }
    markup.push(card.draw(MARGIN, y, width))
    y += card.height
  }
  return svgDocument(width + 2 * MARGIN, y + MARGIN, whence.path, markup)
}

const MARGIN = 28
const ARROW_HEIGHT = 34
const MAX_WIDTH = 760
const LABEL_WIDTH = 84

/** Which box of the other picture a link looks like. */
const LOOKS: Readonly<Record<WhenceLink['kind'], DagNodeKind | 'unknown'>> = {
  image: 'image',
  tree: 'tree',
  retouch: 'step',
  step: 'step',
  package: 'package',
  archive: 'download',
  artifact: 'download',
  overlay: 'overlay',
  index: 'index',
  release: 'index',
  key: 'receipt',
  made: 'file',
  unknown: 'unknown',
}

interface Card {
  readonly width: number
  readonly height: number
  /** Absent for the first. */
  readonly proof: string | undefined
  draw(x: number, y: number, width: number): string
}

function cardOf(link: WhenceLink, i: number): Card {
  const room = MAX_WIDTH - LABEL_WIDTH - 28
  const [first = '', ...more] = describeLink(link)
  const title = fitText(first, room, TITLE_STYLE)
  const lines = more.map(line => fitText(line, room, DETAIL_STYLE))
  const widest = Math.max(textWidth(title, TITLE_STYLE), ...lines.map(line => textWidth(line, DETAIL_STYLE)))
  const height = 34 + lines.length * 15
  const { fill, line } = KIND_COLOURS[LOOKS[link.kind]]
  return {
    width: Math.ceil(LABEL_WIDTH + widest + 28),
    height,
    proof: i === 0 ? undefined : link.proof.says,
    draw: (x, y, width) =>
      element('g', {}, [
        `<title>${escapeXml([...describeLink(link), ...('ref' in link ? [link.ref] : 'receipt' in link ? [link.receipt] : [])].join('\n'))}</title>`,
        element('rect', { x, y, width, height, rx: 8, fill, stroke: line, 'stroke-width': 1.2 }),
        element('text', { x: x + 14, y: y + 21.5, class: 'd' }, [link.kind === 'retouch' ? 'touched by' : link.kind]),
        element('text', { x: x + LABEL_WIDTH, y: y + 21.5, class: 't' }, [escapeXml(title)]),
        ...lines.map((content, row) =>
          element('text', { x: x + LABEL_WIDTH, y: y + 38 + row * 15, class: 'd' }, [escapeXml(content)]),
        ),
      ]),
  }
}

function arrow(x: number, y: number, says: string, room: number): string {
  const d = `M${formatNumber(x)} ${formatNumber(y + ARROW_HEIGHT - 3)}V${formatNumber(y + 5)}`
  const line = element('path', {
    d,
    fill: 'none',
    stroke: '#2563a8',
    'stroke-width': 1.6,
    'marker-end': 'url(#arrow-change)',
  })
  const text = element('text', { x: x + 16, y: y + 21, class: 'd i' }, [escapeXml(fitText(says, room, DETAIL_STYLE))])
  return line + text
}

function headingLines(whence: Whence): readonly { readonly width: number; readonly markup: string }[] {
  const title = fitText(whenceHeading(whence), MAX_WIDTH, HEADING_STYLE)
  const details = fitText(fileLine(whence.file), MAX_WIDTH, SUMMARY_STYLE)
  return [
    {
      width: textWidth(title, HEADING_STYLE),
      markup: element('text', { x: MARGIN, y: 42, class: 'h' }, [escapeXml(title)]),
    },
    {
      width: textWidth(details, SUMMARY_STYLE),
      markup: element('text', { x: MARGIN, y: 64, class: 's' }, [escapeXml(details)]),
    },
  ]
}
