import type { TreeEntry } from '../core/mod.ts'
import type { DraftFolder, StoreReader, StoreWriter } from '../store/mod.ts'

/** What the recipe decides about the files that every installation writes differently. */
export interface Identity {
  readonly hostname: string
  readonly imageId: string
  readonly imageVersion: string
  /** Seconds since 1970. */
  readonly epoch: number
}

/** Files and folders' contents that a Debian root must not carry into an image; reasons in docs/spec/normalisation.md. */
const REMOVED: readonly RegExp[] = [
  /^var\/log\/(apt|journal)\/.+/,
  /^var\/log\/(alternatives|bootstrap|dpkg|fontconfig)\.log$/,
  /^var\/log\/(btmp|faillog|lastlog|wtmp|tallylog)$/,
  /^var\/lib\/apt\/lists\/.+/,
  /^var\/cache\/apt\/(.+\.bin|archives\/.+)$/,
  /^var\/lib\/dpkg\/(.+-old|lock|lock-frontend|triggers\/Lock)$/,
  /^var\/cache\/debconf\/.+-old$/,
  /^var\/cache\/ldconfig\/aux-cache$/,
  /^var\/lib\/dbus\/machine-id$/,
  /^var\/lib\/systemd\/(random-seed|credential\.secret|catalog\/database)$/,
  /^var\/lib\/(urandom|misc)\/.+/,
  /^etc\/(passwd|group|shadow|gshadow|subuid|subgid)-$/,
  /^etc\/\.pwd\.lock$/,
  /^etc\/ssh\/ssh_host_.+/,
  /^etc\/(mtab|resolv\.conf)$/,
  /^etc\/apt\/(sources\.list|sources\.list\.d\/.+|apt\.conf\.d\/99mmdebstrap)$/,
  /^etc\/dpkg\/dpkg\.cfg\.d\/99mmdebstrap$/,
  /^(dev|proc|sys|run|tmp|var\/tmp|var\/cache\/man)\/.+/,
  /^boot\/initrd\.img.*/,
  /^(initrd\.img|vmlinuz)(\.old)?$/,
  /(^|\/)__pycache__$/,
]

/**
 * Takes out of a root tree what installations leave to chance or to the build host, and writes what identifies the
 * image. A change of this list is a change of the operation's name.
 */
export function normaliseRoot(store: StoreReader, writer: StoreWriter, root: DraftFolder, identity: Identity): void {
  removeMatching(root, '')
  const etc = root.open(Buffer.from('etc'))
  const write = (folder: DraftFolder, name: string, text: string, mode = 0o644): void =>
    folder.set(fileEntry(writer, name, text, mode))
  const edit = (folder: DraftFolder, name: string, change: (text: string) => string): void => {
    const entry = folder.get(Buffer.from(name))
    if (entry?.type !== 'f' || entry.ref === undefined) return
    const bytes = Buffer.from(change(store.read(entry.ref).toString('utf8')))
    folder.set({ ...entry, ref: writer.put(bytes), size: bytes.length })
  }
  write(etc, 'hostname', `${identity.hostname}\n`)
  write(etc, 'hosts', `127.0.0.1 localhost\n127.0.1.1 ${identity.hostname}\n::1 localhost ip6-localhost ip6-loopback\n`)
  write(etc, 'machine-id', '') // empty and present: systemd keeps a transient one in /run
  write(etc, 'fstab', '# The root is read-only and verified; storage is mounted by its own units.\n')
  const day = String(Math.floor(identity.epoch / 86400))
  edit(etc, 'shadow', text => text.replace(/^([^:]*:[^:]*:)\d+:/gm, `$1${day}:`))
  const usrLib = root.open(Buffer.from('usr')).open(Buffer.from('lib'))
  edit(usrLib, 'os-release', text => {
    const kept = text.split('\n').filter(line => line !== '' && !/^IMAGE_(ID|VERSION)=/.test(line))
    return `${[...kept, `IMAGE_ID=${identity.imageId}`, `IMAGE_VERSION=${identity.imageVersion}`].join('\n')}\n`
  })
}

function removeMatching(folder: DraftFolder, path: string): void {
  for (const name of folder.names()) {
    const at = `${path}${name.toString('latin1')}`
    if (REMOVED.some(pattern => pattern.test(at))) folder.remove(name)
    else if (folder.get(name)?.type === 'd') removeMatching(folder.open(name), `${at}/`)
  }
}

function fileEntry(writer: StoreWriter, name: string, text: string, mode: number): TreeEntry {
  const bytes = Buffer.from(text)
  return { name: Buffer.from(name), type: 'f', mode, ref: writer.put(bytes), size: bytes.length }
}
