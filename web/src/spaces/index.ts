import { LayoutGrid } from '@lucide/vue'
import { defineAsyncComponent } from 'vue'
import type { Part } from '../shell/parts.ts'
import { t } from '../ui/words.ts'

/** Spaces for working together: the list of them, and what can be done with one. */
export const spaces: Part = {
  routes: [{ path: '/spaces', component: () => import('./SpacesPage.vue') }],
  entries: () => [{ id: 'spaces', label: t('All spaces'), icon: LayoutGrid, to: '/spaces', group: t('Spaces') }],
  tools: defineAsyncComponent(() => import('./SpaceTools.vue')),
}
