import { memberTooltip } from './dag-members.ts'
import type { DagMember, DagSection } from './dag-model.ts'
import { SMALL_STYLE } from './picture.ts'
import { formatCount, formatSize } from './size-text.ts'
import { escapeXml, fitText, textWidth } from './svg.ts'

/** Everything that a box stands for, drawn inside it: few members as lines of text, many as small tiles with tooltips. */
export interface Mosaic {
  readonly width: number
  readonly height: number
  draw(x: number, y: number): string
}

/** As many as a person reads; more are tiles. */
const MOST_LINES = 48
const LINE = { height: 13, nameWidth: 300, sizeWidth: 60, gap: 18, perColumn: 24 }
const TILE = { size: 6, pitch: 7 }
const SECTION = { labelHeight: 15, gap: 6 }

export function mosaicOf(sections: readonly DagSection[]): Mosaic | undefined {
  const count = sections.reduce((sum, section) => sum + section.members.length, 0)
  if (count === 0) return undefined
  return count <= MOST_LINES ? lines(sections.flatMap(section => section.members)) : tiles(sections, count)
}

function lines(members: readonly DagMember[]): Mosaic {
  const names = members.map(member => fitText(afterHost(member.name), LINE.nameWidth, SMALL_STYLE))
  const nameWidth = Math.ceil(Math.max(...names.map(name => textWidth(name, SMALL_STYLE))))
  const columnWidth = nameWidth + LINE.sizeWidth + LINE.gap
  const perColumn = Math.min(LINE.perColumn, members.length)
  const columns = Math.ceil(members.length / perColumn)
  const row = (member: DagMember, i: number, x: number, y: number): string => {
    const left = x + Math.floor(i / perColumn) * columnWidth
    const top = y + (i % perColumn) * LINE.height + 10
    const size =
      member.sizeBytes > 0
        ? `<tspan x="${left + nameWidth + LINE.sizeWidth}" text-anchor="end">${formatSize(member.sizeBytes)}</tspan>`
        : ''
    return `<text class="l" x="${left}" y="${top}"><title>${escapeXml(memberTooltip(member))}</title>${escapeXml(names[i] ?? '')}${size}</text>`
  }
  return {
    width: columns * columnWidth - LINE.gap,
    height: perColumn * LINE.height + 4,
    draw: (x, y) => members.map((member, i) => row(member, i, Math.round(x), Math.round(y))).join('\n'),
  }
}

/** A list of URLs of one host shows what differs; the tooltip has all of it. */
function afterHost(name: string): string {
  return name.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/]+\//, '')
}

/** Tiles in rows, section by section, in about the proportions of a page. */
function tiles(sections: readonly DagSection[], count: number): Mosaic {
  const perRow = Math.min(240, Math.max(40, Math.ceil(Math.sqrt(count * 1.6))))
  const rowsOf = (section: DagSection): number => Math.ceil(section.members.length / perRow)
  const heightOf = (section: DagSection): number =>
    (section.label === '' ? 0 : SECTION.labelHeight) + rowsOf(section) * TILE.pitch + SECTION.gap
  return {
    width: perRow * TILE.pitch,
    height: sections.reduce((sum, section) => sum + heightOf(section), 0),
    draw: (x, y) => {
      const [left, top] = [Math.round(x), Math.round(y)]
      let at = top
      return sections
        .map(section => {
          const drawn = drawSection(section, left, at, perRow)
          at += heightOf(section)
          return drawn
        })
        .join('\n')
    },
  }
}

function drawSection({ label, members }: DagSection, x: number, y: number, perRow: number): string {
  const heading =
    label === ''
      ? ''
      : `<text class="l" x="${x}" y="${y + 10}">${escapeXml(label)}, ${formatCount(members.length, 'file')}</text>`
  const top = y + (label === '' ? 0 : SECTION.labelHeight)
  const drawn = members.map((member, i) => {
    const tileX = x + (i % perRow) * TILE.pitch
    const tileY = top + Math.floor(i / perRow) * TILE.pitch
    return `<rect class="q${weightOf(member.sizeBytes)}" x="${tileX}" y="${tileY}" width="${TILE.size}" height="${TILE.size}"><title>${escapeXml(memberTooltip(member))}</title></rect>`
  })
  return [heading, ...drawn].join('\n')
}

/** Darker is larger: below 4 KiB, 64 KiB, 1 MiB, and above. */
function weightOf(sizeBytes: number): number {
  if (sizeBytes < 4096) return 0
  if (sizeBytes < 65_536) return 1
  return sizeBytes < 1_048_576 ? 2 : 3
}
