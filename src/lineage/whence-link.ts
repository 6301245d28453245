import type { Reference, Sha256, TreeEntryType } from '../core/mod.ts'
import type { KeyringPlace } from './release-chain.ts'
import type { RunView } from './run-view.ts'

/** The answer to "where does this come from?": links from the image down to what the project did not make. */
export interface Whence {
  /** As asked, for people: bytes that are not UTF-8 appear as `\xNN`. */
  readonly path: string
  /** Present when the path is not UTF-8. */
  readonly pathHex?: string
  readonly file: WhenceFile
  readonly links: readonly WhenceLink[]
  /** False when the chain ends before something that this project vouches for: see the last link. */
  readonly isComplete: boolean
}

export interface WhenceFile {
  /** Where the links of the tree lead. */
  readonly path: string
  readonly type: TreeEntryType
  /** Octal digits, as `ls` and `chmod` write them. */
  readonly mode: string
  readonly owner: string
  readonly ref?: Reference
  readonly sha256?: Sha256
  readonly size?: number
  readonly target?: string
  /** The first name of a hard-linked file. */
  readonly linkTo?: string
  readonly followed: readonly { readonly path: string; readonly target: string }[]
}

/** What a link of the chain is, and by what its connection to the link before was verified. */
export type WhenceLink = WhenceLinkBody & { readonly proof: Proof }

export type WhenceLinkBody =
  | { readonly kind: 'image'; readonly name: string; readonly sha256?: Sha256 }
  | { readonly kind: 'tree'; readonly ref: Reference; readonly path: string }
  | { readonly kind: 'retouch'; readonly receipt: Reference; readonly step: string; readonly fields: readonly string[] }
  | WhenceStep
  | WhencePackage
  | { readonly kind: 'archive'; readonly ref: Reference; readonly member: string }
  | {
      readonly kind: 'artifact'
      readonly ref: Reference
      /** Absent when the store does not hold it. */
      readonly sha256?: Sha256
      readonly name: string
      readonly role: string
      readonly size?: number
    }
  | { readonly kind: 'overlay'; readonly ref: Reference; readonly checkoutPath: string }
  | { readonly kind: 'index'; readonly ref: Reference; readonly sha256: Sha256; readonly url: string }
  | {
      readonly kind: 'release'
      readonly ref: Reference
      readonly url: string
      readonly suite: string
      readonly date: string
    }
  | {
      readonly kind: 'key'
      readonly fingerprint: string
      readonly userId: string
      readonly keyring: string
      readonly keyringFrom: KeyringPlace
    }
  | { readonly kind: 'made'; readonly inputs: readonly InputGroup[]; readonly owners: readonly string[] }
  | { readonly kind: 'unknown'; readonly reason: string }

export interface WhenceStep {
  readonly kind: 'step'
  readonly receipt: Reference
  readonly step: string
  readonly command: string
  readonly cwd: string
  readonly network: string
  /** Tree that it ran in. */
  readonly root?: Reference
  /** Other receipts of the store that name the same result. */
  readonly alternatives: number
  /** Run halves that the store holds; none inside an image. */
  readonly runs: readonly RunView[]
}

export interface WhencePackage {
  readonly kind: 'package'
  readonly name: string
  readonly version: string
  readonly architecture: string
  readonly member: string
  readonly part: 'data' | 'control'
  /** dpkg's own list in the tree names the path. */
  readonly isListed: boolean
}

export interface InputGroup {
  readonly role: string
  readonly count: number
  /** The first few names. */
  readonly names: readonly string[]
}

export interface Proof {
  readonly by: 'asked' | 'history' | 'receipt' | 'tree' | 'content' | 'digest' | 'signature' | 'name' | 'nothing'
  /** One line for people. */
  readonly says: string
}
