import { AslError, type DomainId, decodeJson, domainNumber, encodeJson, messageOf, parseDomainId } from '../core/mod.ts'

/** `meta/store.json`: constant for the life of a store (reference §4). */
export interface StoreConfig {
  readonly domainId: DomainId
  /** The u32 that stands for the domain in index records. */
  readonly domainNum: number
  /** A power of two up to 256; shard = first digest byte mod count. */
  readonly shardCount: number
  /** Packed blocks are sealed at this size. */
  readonly blockTargetBytes: number
  /** Untagged content up to this size is packed; larger content is a raw block of its own. */
  readonly smallMaxBytes: number
  readonly chunking: 'none' | 'fastcdc'
  readonly compression: 'none' | 'zstd'
}

export const STORE_VERSION = 1
export const DEFAULT_BLOCK_TARGET_BYTES = 16 * 1024 * 1024
export const DEFAULT_SMALL_MAX_BYTES = 1024 * 1024
const LARGEST_BLOCK_TARGET_BYTES = 1024 ** 3

export function encodeStoreConfig(config: StoreConfig): Buffer {
  return encodeJson({
    domain_id: config.domainId,
    domain_num: config.domainNum,
    encoding_profile: '0x0001',
    format: 'asl-store',
    hash_id: '0x0001',
    layout_revision: 1,
    packing: {
      block_target: config.blockTargetBytes,
      chunking: config.chunking,
      compression: config.compression,
      small_max: config.smallMaxBytes,
    },
    shard_count: config.shardCount,
    version: STORE_VERSION,
  })
}

/** @throws AslError STORE_UNSUPPORTED for a newer format, CONFIG_INVALID for anything else that is wrong */
export function decodeStoreConfig(bytes: Buffer, path: string): StoreConfig {
  refuseNewerFormat(bytes, path)
  const fail = (reason: string, cause?: unknown): AslError =>
    new AslError('CONFIG_INVALID', `Cannot open store: ${path} ${reason}`, { cause })
  let config: StoreConfig
  try {
    const value = decodeJson(bytes) as Record<string, unknown>
    const packing = value.packing as Record<string, unknown>
    const domainId = parseDomainId(String(value.domain_id))
    config = {
      domainId,
      domainNum: domainNumber(domainId),
      shardCount: value.shard_count as number,
      blockTargetBytes: packing.block_target as number,
      smallMaxBytes: packing.small_max as number,
      chunking: packing.chunking as StoreConfig['chunking'],
      compression: packing.compression as StoreConfig['compression'],
    }
  } catch (error) {
    throw fail(`is not a store configuration: ${messageOf(error)}`, error)
  }
  const { shardCount, blockTargetBytes, smallMaxBytes, chunking, compression } = config
  if (!isWhole(shardCount, 1, 256) || (shardCount & (shardCount - 1)) !== 0) {
    throw fail(`has shard_count ${shardCount}, not a power of two up to 256`)
  }
  if (!isWhole(blockTargetBytes, 1, LARGEST_BLOCK_TARGET_BYTES)) throw fail(`has block_target ${blockTargetBytes}`)
  if (!isWhole(smallMaxBytes, 0, blockTargetBytes)) throw fail(`has small_max ${smallMaxBytes}`)
  if (chunking !== 'none' && chunking !== 'fastcdc') throw fail(`has chunking "${String(chunking)}"`)
  if (compression !== 'none' && compression !== 'zstd') throw fail(`has compression "${String(compression)}"`)
  if (!encodeStoreConfig(config).equals(bytes)) throw fail('has keys or values this program does not write')
  return config
}

/** What a newer program has written may look any way at all, but for these members. */
function refuseNewerFormat(bytes: Buffer, path: string): void {
  let value: Record<string, unknown> | null
  try {
    value = JSON.parse(bytes.toString('utf8')) as Record<string, unknown> | null
  } catch (error) {
    throw new AslError('CONFIG_INVALID', `Cannot open store: ${path} is not JSON: ${messageOf(error)}`, {
      cause: error,
    })
  }
  if (value?.format !== 'asl-store') {
    throw new AslError(
      'CONFIG_INVALID',
      `Cannot open store: ${path} has format "${String(value?.format)}", not "asl-store"`,
    )
  }
  for (const [key, known] of [
    ['version', STORE_VERSION],
    ['layout_revision', 1],
    ['encoding_profile', '0x0001'],
    ['hash_id', '0x0001'],
  ] as const) {
    if (value[key] !== known) {
      throw new AslError(
        'STORE_UNSUPPORTED',
        `Cannot open store: ${path} has ${key} ${JSON.stringify(value[key])}, this program knows ${JSON.stringify(known)}`,
        {
          hint: 'Use the version of asl that wrote it; stores are not upgraded in place, content is put again into a new one.',
        },
      )
    }
  }
}

function isWhole(value: unknown, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
}
