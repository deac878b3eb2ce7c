import { HardDrive, Trash2 } from '@lucide/vue'
import { defineAsyncComponent } from 'vue'
import type { Part } from '../shell/parts.ts'
import { t } from '../ui/words.ts'
import FilesPage from './FilesPage.vue'
import { filesAt, isHome, trashAt } from './places.ts'
import Tray from './Tray.vue'

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
      ...(home ? [{ id: 'home', label: t('Personal'), icon: HardDrive, to: filesAt(home.id), space: home.id }] : []),
      ...spaces.map((d) => ({ id: d.id, label: d.name, to: filesAt(d.id), group: t('Spaces'), space: d.id, wide: true })),
      ...(home ? [{ id: 'trash', label: t('Trash'), icon: Trash2, to: trashAt(home.id), last: true }] : []),
    ]
  },
  floating: Tray,
  start: (user) => {
    const home = user.drives.value.find(isHome) ?? user.drives.value[0]
    return home ? filesAt(home.id) : undefined
  },
}
