/**
 * Rock Ridge (IEEE P1282) over SUSP (IEEE P1281): POSIX names and attributes in the system use area of an ISO 9660
 * directory record. The image's author controls every byte; chains are counted, lengths checked before use.
 */
export interface RockRidge {
  readonly name?: Buffer
  /** st_mode, with the type bits. */
  readonly mode?: number
  readonly linkCount?: number
  readonly uid?: number
  readonly gid?: number
  readonly rdev?: readonly [major: number, minor: number]
  readonly target?: Buffer
  readonly mtimeSeconds?: number
  /** CL: this record stands for the directory at that block, moved there because of its depth. */
  readonly childBlock?: number
  /** RE: a directory that another record points at; not an entry of the folder it lies in. */
  readonly isRelocated: boolean
  /** ZF: the content is stored in zisofs form. */
  readonly isCompressed: boolean
}

export interface RockRidgeContext {
  /** Bytes to leave out at the start of each system use area (SP). */
  readonly skipBytes: number
  /** Bytes of a continuation area. */
  readContinuation(block: number, offset: number, sizeBytes: number): Buffer
  /** @throws AslError naming the record */
  fail(reason: string): never
}

/** A record has at most this many continuation areas: a name, a link target and attributes need three or four. */
const MAX_CONTINUATIONS = 64
const MAX_NAME_BYTES = 255
const MAX_TARGET_BYTES = 4095

type Draft = { -readonly [K in keyof RockRidge]: RockRidge[K] }

/** Length of the skip that the first record of the root announces; `undefined` when the image has no SUSP. */
export function suspSkip(area: Buffer): number | undefined {
  const isSp = area.length >= 7 && area.toString('latin1', 0, 2) === 'SP' && area[4] === 0xbe && area[5] === 0xef
  return isSp ? area[6] : undefined
}

export function parseRockRidge(area: Buffer, context: RockRidgeContext): RockRidge {
  const draft: Draft = { isRelocated: false, isCompressed: false }
  const link = linkTarget(context)
  const nameParts: Buffer[] = []
  let current = area.subarray(context.skipBytes)
  for (let continuations = 0; ; continuations++) {
    if (continuations > MAX_CONTINUATIONS) context.fail('a chain of continuation areas that does not end')
    let next: Buffer | undefined
    for (const { signature, field } of fieldsOf(current, context)) {
      if (signature === 'CE') {
        need(field, 28, context)
        next = context.readContinuation(field.readUInt32LE(4), field.readUInt32LE(12), field.readUInt32LE(20))
      } else if (signature === 'NM') nameParts.push(namePart(field, context))
      else if (signature === 'SL') link.add(field)
      else readAttribute(draft, signature, field, context)
    }
    if (next === undefined) break
    current = next
  }
  if (nameParts.length > 0) draft.name = Buffer.concat(nameParts)
  if (draft.name !== undefined && draft.name.length > MAX_NAME_BYTES) {
    context.fail(`a name of ${draft.name.length} bytes, the limit is ${MAX_NAME_BYTES}`)
  }
  const target = link.end()
  if (target !== undefined) draft.target = target
  return draft
}

function* fieldsOf(area: Buffer, context: RockRidgeContext): Generator<{ signature: string; field: Buffer }> {
  for (let at = 0; at + 4 <= area.length; ) {
    const sizeBytes = area[at + 2] as number
    if (area[at] === 0) return // padding
    if (sizeBytes < 4 || at + sizeBytes > area.length) {
      context.fail(`a system use field of ${sizeBytes} bytes where ${area.length - at} are left`)
    }
    const field = area.subarray(at, at + sizeBytes)
    const signature = field.toString('latin1', 0, 2)
    if (signature === 'ST') return
    yield { signature, field }
    at += sizeBytes
  }
}

/** Values are stored twice, little-endian first; the kernel reads the first, so do we. */
function readAttribute(draft: Draft, signature: string, field: Buffer, context: RockRidgeContext): void {
  switch (signature) {
    case 'PX':
      need(field, 36, context)
      draft.mode = field.readUInt32LE(4)
      draft.linkCount = field.readUInt32LE(12)
      draft.uid = field.readUInt32LE(20)
      draft.gid = field.readUInt32LE(28)
      return
    case 'PN':
      need(field, 20, context)
      draft.rdev = deviceNumber(field.readUInt32LE(4), field.readUInt32LE(12))
      return
    case 'TF': {
      const seconds = modifyTime(field)
      if (seconds !== undefined) draft.mtimeSeconds = seconds
      return
    }
    case 'CL':
      need(field, 12, context)
      draft.childBlock = field.readUInt32LE(4)
      return
    case 'RE':
      draft.isRelocated = true
      return
    case 'ZF':
      draft.isCompressed = true
      return
    default:
      return // ER, AA, AL, PL, RR and what else there may be: nothing that names or places content
  }
}

function need(field: Buffer, sizeBytes: number, context: RockRidgeContext): void {
  if (field.length >= sizeBytes) return
  context.fail(`a ${field.toString('latin1', 0, 2)} field of ${field.length} bytes, wanted ${sizeBytes}`)
}

function namePart(field: Buffer, context: RockRidgeContext): Buffer {
  need(field, 5, context)
  const flags = field[4] as number
  if ((flags & 0x06) !== 0) context.fail('an NM field that names the folder itself or its parent')
  return field.subarray(5)
}

/** Collects SL fields: components with their own flags, a component may go on in the next record. */
function linkTarget(context: RockRidgeContext): { add(field: Buffer): void; end(): Buffer | undefined } {
  const parts: Buffer[] = []
  let sizeBytes = 0
  let wantsSlash = false
  let isPresent = false
  const push = (part: Buffer): void => {
    sizeBytes += part.length
    if (sizeBytes > MAX_TARGET_BYTES) context.fail(`a link target longer than ${MAX_TARGET_BYTES} bytes`)
    parts.push(part)
  }
  return {
    add(field) {
      need(field, 5, context)
      isPresent = true
      for (let at = 5; at + 2 <= field.length; ) {
        const flags = field[at] as number
        const length = field[at + 1] as number
        if (at + 2 + length > field.length) context.fail('a link component that ends beyond its field')
        if (wantsSlash) push(Buffer.from('/'))
        if ((flags & 0x08) !== 0) push(Buffer.from('/'))
        else if ((flags & 0x02) !== 0) push(Buffer.from('.'))
        else if ((flags & 0x04) !== 0) push(Buffer.from('..'))
        else push(field.subarray(at + 2, at + 2 + length))
        // after the root there is a slash already; a component that continues is glued to the next
        wantsSlash = (flags & 0x09) === 0
        at += 2 + length
      }
    },
    end: () => (isPresent ? Buffer.concat(parts) : undefined),
  }
}

/** As the kernel reads it (fs/isofs/rock.c): writers with a 16-bit dev_t put all of it into the low half. */
function deviceNumber(high: number, low: number): readonly [number, number] {
  return high === 0 && low > 0xff ? [low >>> 8, low & 0xff] : [high, low]
}

function modifyTime(field: Buffer): number | undefined {
  const flags = field[4] ?? 0
  if ((flags & 0x02) === 0) return undefined
  const stampBytes = (flags & 0x80) === 0 ? 7 : 17
  const at = 5 + ((flags & 0x01) === 0 ? 0 : stampBytes)
  const stamp = field.subarray(at, at + stampBytes)
  if (stamp.length < stampBytes) return undefined
  return stampBytes === 7 ? shortTime(stamp) : longTime(stamp)
}

/** Seven bytes: years since 1900, month, day, hour, minute, second, zone in quarters of an hour east of UTC. */
export function shortTime(stamp: Buffer): number | undefined {
  const [year, month, day, hour, minute, second] = stamp as unknown as [number, number, number, number, number, number]
  return utcSeconds([1900 + year, month, day, hour, minute, second], stamp.readInt8(6))
}

/** Seventeen bytes: digits `YYYYMMDDhhmmsscc` and the zone. All zeros mean "not given". */
export function longTime(stamp: Buffer): number | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)\d\d$/.exec(stamp.toString('latin1', 0, 16))
  if (match === null) return undefined
  return utcSeconds(match.slice(1).map(Number) as [number, number, number, number, number, number], stamp.readInt8(16))
}

function utcSeconds(
  [year, month, day, hour, minute, second]: readonly [number, number, number, number, number, number],
  zoneQuarters: number,
): number | undefined {
  if (year === 0 || month < 1 || month > 12 || day < 1 || day > 31) return undefined
  return Date.UTC(year, month - 1, day, hour, minute, second) / 1000 - zoneQuarters * 900
}
