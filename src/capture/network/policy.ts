/** What a step may do on the network besides reading from mirrors. The same policy is given to a replay. */
export interface NetworkPolicy {
  /** May this be fetched? Asked for every URL that belongs to no mirror. All may, unless given. */
  readonly allow?: (url: URL) => boolean
  /**
   * Is this host declared opaque: its TLS is passed through unseen, because a client pins its certificate or brings
   * one of its own? None is, unless given. What comes that way is not recorded, so the receipt is partial.
   */
  readonly isOpaque?: (host: string, port: number) => boolean
  /**
   * May this host be the build machine itself, or on its own link? None may, unless given, so that a step cannot reach
   * services of the build host through the recorder. Mirrors always may.
   */
  readonly mayBeLocal?: (host: string, port: number) => boolean
  /** Is this request with another method than GET and HEAD declared? It is passed on and not recorded: partial. */
  readonly isForwarded?: (method: string, url: URL) => boolean
}

/** Something that was asked for and not done. */
export interface Refusal {
  readonly method: string
  /** `host:port`, or what stood in its place. */
  readonly authority: string
  readonly reason: string
}

/** Bytes that went through unseen. */
export interface OpaqueTraffic {
  readonly kind: 'tunnel' | 'request'
  /** `CONNECT` of a tunnel. */
  readonly method: string
  readonly host: string
  readonly port: number
  readonly sentBytes: number
  readonly receivedBytes: number
}

/** Why a record does not hold all that decided the step. */
export type PartialReason =
  /** Bytes of a declared tunnel. */
  | 'tls-opaque'
  /** A declared request with another method. */
  | 'request-opaque'
  /** A response that was given for credentials, which are not recorded. */
  | 'credentials'
  /** A fetch that failed and never succeeded later: a replay cannot fail the same way. */
  | 'unreachable'
  /** The step ended, or left, in the middle of a body. */
  | 'abandoned'

export interface NetworkCompleteness {
  readonly state: 'complete' | 'partial'
  /** Sorted, without duplicates. */
  readonly reasons: readonly PartialReason[]
}
