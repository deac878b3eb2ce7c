import { HardDrive, Trash2 } from '@lucide/vue'
import { defineAsyncComponent } from 'vue'
import type { Part } from '../shell/parts.ts'
import { t } from '../ui/words.ts'
import FilesPage from './FilesPage.vue'
import { filesAt, isHome, trashAt } from './places.ts'
import { remove, transfer } from './actions.ts'
import { dragged } from './clipboard.ts'
import { folderAt } from './folders.ts'
import Tray from './Tray.vue'
import { fromDrop, upload } from './uploads.ts'

/** What is dropped on a space goes to its top. */
function dropOn(space: string, name: string) {
  return {
    takes: () => true,
    drop: async (e: DragEvent) => {
      const d = dragged.value
      const copying = e.ctrlKey
      const files = !d && e.dataTransfer ? fromDrop(e.dataTransfer) : undefined
      const top = folderAt(space, '')
      if (!top.self.value) await top.load()
      const to = { id: top.self.value?.id ?? '', name }
      if (!to.id) return
      if (d) await transfer(copying ? 'copy' : 'move', d.items, d.from, to)
      else if (files) await upload(to, await files)
    },
  }
}

function dropOnTrash() {
  const d = dragged.value
  if (d) void remove(d.from, d.items)
}

/** Files and folders, the trash, and uploads. */
export const files: Part = {
  routes: [
    { path: '/files/:space/:path*', component: FilesPage },
    { path: '/trash/:space', component: () => import('./TrashPage.vue') },
    { path: '/f/:id', component: defineAsyncComponent(() => import('./FindPage.vue')) },
  ],
  entries: (user) => {
    const home = user.drives.value.find(isHome)
    const spaces = user.drives.value.filter((d) => d.driveType === 'project')
    return [
      ...(home ? [{ id: 'home', label: t('Personal'), icon: HardDrive, to: filesAt(home.id), ...dropOn(home.id, t('Personal')) }] : []),
      ...spaces.map((d) => ({ id: d.id, label: d.name, to: filesAt(d.id), group: t('Spaces'), wide: true, ...dropOn(d.id, d.name) })),
      ...(home ? [{ id: 'trash', label: t('Trash'), icon: Trash2, to: trashAt(home.id), last: true, takes: () => dragged.value !== undefined, drop: dropOnTrash }] : []),
    ]
  },
  floating: Tray,
  start: (user) => {
    const home = user.drives.value.find(isHome) ?? user.drives.value[0]
    return home ? filesAt(home.id) : undefined
  },
}
