import { Share2, Users } from '@lucide/vue'
import { defineAsyncComponent } from 'vue'
import { sharesSpace } from '../client/sharing.ts'
import { filesAt } from '../files/places.ts'
import type { Part } from '../shell/parts.ts'
import { t } from '../ui/words.ts'
import Marks from './Marks.vue'

/** Who has access to what: people, groups, links. */
export const share: Part = {
  routes: [
    { path: '/shared/:which(with-me|with-others|by-link)', component: () => import('./SharedPage.vue') },
    { path: '/s/:token/:path*', component: () => import('./InternalPage.vue') },
    { path: `/files/:shares(${sharesSpace.replace('$', '\\$')})`, redirect: '/shared/with-me' },
  ],
  entries: () => [{ id: 'shared', label: t('Shared'), icon: Users, to: '/shared/with-me', below: ['/shared', filesAt(sharesSpace)] }],
  details: defineAsyncComponent(() => import('./Access.vue')),
  mark: Marks,
  actions: (items, show) =>
    items.length === 1 && items[0]?.can.includes('R') ? [{ id: 'share', label: t('Share'), icon: Share2, main: true, run: show }] : [],
}
