/** What kind of artifact its bytes are. Plain file content carries no tag. Numbers: reference §2. */
export type TypeTag = number & { readonly __brand: 'TypeTag' }

const tag = (value: number): TypeTag => value as TypeTag

/** Upstream's number for a receipt (FER/1), big-endian bytes of its own. */
export const TAG_RECEIPT = tag(0x00000301)
/** Upstream's number for a trace-graph edge (TGK/1). */
export const TAG_EDGE = tag(0x00000201)

/** Our tags: `0x41534C` is ASCII `ASL`, far from the small upstream numbers. */
const OURS = 0x41534c00

/** Tag number and `kind` field of every structure of ours. */
export const KINDS = {
  'asl.tree': tag(OURS + 0x01),
  'asl.command': tag(OURS + 0x02),
  'asl.input-manifest': tag(OURS + 0x03),
  'asl.environment': tag(OURS + 0x04),
  'asl.output-manifest': tag(OURS + 0x05),
  'asl.executor': tag(OURS + 0x06),
  'asl.fingerprint': tag(OURS + 0x07),
  'asl.run-details': tag(OURS + 0x08),
  'asl.snapshot': tag(OURS + 0x09),
  'asl.environment-claim': tag(OURS + 0x0a),
  'asl.per-signature': tag(OURS + 0x0b),
  'asl.dam': tag(OURS + 0x10),
  'asl.policy': tag(OURS + 0x11),
  'asl.authority-request': tag(OURS + 0x12),
  'asl.authority-certificate': tag(OURS + 0x13),
  'asl.admission-request': tag(OURS + 0x14),
  'asl.admission-record': tag(OURS + 0x15),
  'asl.offline-root-set': tag(OURS + 0x16),
  'asl.root-rotation': tag(OURS + 0x17),
  'asl.common.witness-rotation': tag(OURS + 0x18),
  'asl.witness-policy': tag(OURS + 0x19),
  'asl.signature': tag(OURS + 0x1b),
  'asl.age-sealed': tag(OURS + 0x20),
  'asl.fed-cursor': tag(OURS + 0x21),
} as const satisfies Record<string, TypeTag>

export type Kind = keyof typeof KINDS

const names = new Map<number, string>(Object.entries(KINDS).map(([name, value]) => [value, name]))
names.set(TAG_RECEIPT, 'receipt')
names.set(TAG_EDGE, 'edge')
for (const [value, name] of [
  [0x0101, 'pel.program'],
  [0x0102, 'pel.trace'],
  [0x0103, 'pel.result'],
] as const) {
  names.set(value, name)
}

/** The word a person reads for a tag: `asl.tree`, `receipt`, `content` for none, hex for an unknown one. */
export function kindName(typeTag: TypeTag | undefined): string {
  if (typeTag === undefined) return 'content'
  return names.get(typeTag) ?? `0x${typeTag.toString(16).padStart(8, '0')}`
}

export function tagFromNumber(value: number): TypeTag {
  return tag(value)
}
