import '@fontsource-variable/inter/wght.css'
import '../ui/tokens.css'
import '../ui/base.css'
import { createApp } from 'vue'
import { createRouter, createWebHistory } from 'vue-router'
import { base } from '../client/place.ts'
import { signIn } from '../client/session.ts'
import { warmUp } from '../client/lister.ts'
import { listen } from '../ui/keys.ts'
import { preferred, speak } from '../ui/words.ts'
import App from './App.vue'
import { parts } from './parts.ts'
import StartProblem from './StartProblem.vue'
import { apply } from './theme.ts'
import { loadUser, userKey } from './user.ts'

const product = document.querySelector<HTMLMetaElement>('meta[name=application-name]')?.content ?? ''

async function start() {
  apply()
  warmUp()
  if (location.pathname.startsWith(base.pathname + 's/') && (await (await import('../visit/start.ts')).visit(product))) return
  const [{ returnTo }] = await Promise.all([signIn(), speak(preferred())])
  const user = await loadUser(product)
  const router = createRouter({
    history: createWebHistory(base.pathname),
    routes: [
      ...parts.flatMap((p) => p.routes),
      { path: '/:rest(.*)*', redirect: () => parts.map((p) => p.start?.(user)).find(Boolean) ?? '/nothing' },
      { path: '/nothing', component: StartProblem },
    ],
  })
  if (returnTo !== undefined) await router.replace(returnTo)
  listen()
  createApp(App).use(router).provide(userKey, user).mount('#app')
}

start().catch(async () => {
  await speak(preferred()).catch(() => undefined)
  createApp(StartProblem).mount('#app')
})
