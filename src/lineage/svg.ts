/**
 * Writes SVG that stands alone: no script, no font file, no foreignObject, so that a browser and an image viewer show
 * the same. Every text goes through {@link escapeXml}: names come from foreign stores.
 */

/** Text for an element or an attribute. Characters that XML 1.0 forbids become U+FFFD, or no viewer would open the file. */
export function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(FORBIDDEN, '\ufffd')
    .replace(/[&<>"']/g, character => ENTITIES[character] ?? character)
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not pass
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

export type Attributes = Readonly<Record<string, string | number | undefined>>

/** An element with escaped attributes; `children` are markup already. */
export function element(name: string, attributes: Attributes, children: readonly string[] = []): string {
  const shown = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${typeof value === 'number' ? formatNumber(value) : escapeXml(value ?? '')}"`)
    .join('')
  return children.length === 0 ? `<${name}${shown}/>` : `<${name}${shown}>${children.join('')}</${name}>`
}

/** One decimal is a tenth of a pixel; more only makes the file longer. */
export function formatNumber(value: number): string {
  return String(Math.round(value * 10) / 10)
}

export const FONT_SANS = "'Inter','Segoe UI','Helvetica Neue',Helvetica,Arial,'DejaVu Sans',sans-serif"
export const FONT_MONO = "ui-monospace,'SF Mono',Menlo,Consolas,'DejaVu Sans Mono',monospace"

export interface TextStyle {
  readonly sizePx: number
  readonly isBold?: boolean
  readonly isMono?: boolean
}

/**
 * Width of a text in pixels. Fonts differ between machines, so this errs on the wide side: the figures are those of
 * DejaVu Sans, the widest of the fonts named above.
 */
export function textWidth(text: string, style: TextStyle): number {
  let em = 0
  for (const character of text) em += style.isMono === true ? monoEm(character) : sansEm(character)
  return em * style.sizePx * (style.isBold === true ? 1.08 : 1)
}

/** Shortens in the middle, where paths and URLs say least. */
export function fitText(text: string, maxPx: number, style: TextStyle): string {
  if (textWidth(text, style) <= maxPx) return text
  const characters = [...text]
  let low = 0
  let high = characters.length
  const shortened = (kept: number): string => {
    const tail = Math.floor(kept / 2)
    return `${characters.slice(0, kept - tail).join('')}…${tail === 0 ? '' : characters.slice(-tail).join('')}`
  }
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if (textWidth(shortened(middle), style) <= maxPx) low = middle
    else high = middle - 1
  }
  return shortened(low)
}

function monoEm(character: string): number {
  return isWide(character) ? 1.21 : 0.603
}

const NARROW = new Set([..."iIjlf.,:;'|!()[]{}tr` "])
const BROAD = new Set([...'mwMW@%…→←×'])

function sansEm(character: string): number {
  if (NARROW.has(character)) return 0.4
  if (BROAD.has(character)) return 1
  if (isWide(character)) return 1.05
  return character >= 'A' && character <= 'Z' ? 0.72 : 0.635
}

/** Ideographs, kana, hangul, full-width forms and pictographs take two columns (Unicode UAX #11). */
function isWide(character: string): boolean {
  const code = character.codePointAt(0) ?? 0
  return (
    code >= 0x1100 &&
    (code <= 0x115f ||
      (code >= 0x2e80 && code <= 0xa4cf) ||
      (code >= 0xac00 && code <= 0xd7a3) ||
      (code >= 0xf900 && code <= 0xfaff) ||
      (code >= 0xff00 && code <= 0xff60) ||
      code >= 0x1f300)
  )
}
