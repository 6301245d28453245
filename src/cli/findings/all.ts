/** All that `asl doctor` finds out about the host, beside its programs. Loaded late: it draws in most rooms. */
import { type HostFinding, type ProbePlace, probeHost } from '../../sys/mod.ts'
import type { Context } from '../verb.ts'
import { probeKvm, probeUefi } from './guests.ts'
import { probeMirrors } from './mirrors.ts'
import { probeNodePin } from './node-pin.ts'
import { probeFanotify, probeStrace } from './observers.ts'

export async function hostFindings(context: Context, place: ProbePlace): Promise<readonly HostFinding[]> {
  const machine = await probeHost(place)
  return [
    probeNodePin(context),
    ...machine,
    probeFanotify(place),
    await probeStrace(place),
    await probeKvm(place),
    probeUefi(),
    await probeMirrors(context),
  ]
}
