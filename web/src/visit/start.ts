import { createApp } from 'vue'
import { createRouter, createWebHistory } from 'vue-router'
import { base } from '../client/place.ts'
import { endVisit } from '../client/session.ts'
import { listen } from '../ui/keys.ts'
import { preferred, speak } from '../ui/words.ts'
import { openLink } from './link.ts'
import VisitApp from './VisitApp.vue'

/** Begins the page of whoever holds a link; false when the link is for those who sign in. */
export async function visit(product: string): Promise<boolean> {
  const token = decodeURIComponent(location.pathname.slice(base.pathname.length).split('/')[1] ?? '')
  const [first] = await Promise.all([openLink(token), speak(preferred())])
  if ('refused' in first && first.refused === 'account') {
    endVisit()
    return false
  }
  const router = createRouter({
    history: createWebHistory(base.pathname),
    routes: [{ path: '/s/:token/:path*', component: VisitApp }, { path: '/:rest(.*)*', component: VisitApp }],
  })
  listen()
  createApp(VisitApp, { product, token, first }).use(router).mount('#app')
  return true
}
