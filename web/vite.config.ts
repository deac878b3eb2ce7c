import { readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import vue from '@vitejs/plugin-vue'
import type { Plugin } from 'vite'
import { defineConfig } from 'vitest/config'
import { parsePo } from './locale/po.ts'

/** Makes modules of the .po files: msgid to translations. */
function words(): Plugin {
  return {
    name: 'words',
    load(id) {
      if (!id.endsWith('.po')) return null
      return `export default ${JSON.stringify(parsePo(readFileSync(id, 'utf8')))}`
    },
  }
}

/** Empties dist but for what git keeps there, and packs what packs well. */
function pack(): Plugin {
  const dist = join(import.meta.dirname, 'dist')
  return {
    name: 'pack',
    apply: 'build',
    buildStart() {
      for (const name of readdirSync(dist)) {
        if (name !== '.gitignore') rmSync(join(dist, name), { recursive: true })
      }
    },
    closeBundle() {
      for (const entry of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
        const file = join(dist, entry)
        if (!/^assets[\\/].*\.(js|css|svg)$/.test(entry) || statSync(file).size < 1024) continue
        const body = readFileSync(file)
        writeFileSync(`${file}.br`, brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }))
        writeFileSync(`${file}.gz`, gzipSync(body, { level: 9 }))
      }
    },
  }
}

export default defineConfig({
  base: './',
  plugins: [vue(), words(), pack()],
  define: { __VUE_OPTIONS_API__: 'false' },
  build: {
    target: 'es2022',
    emptyOutDir: false,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rolldownOptions: { input: { index: 'index.html', silent: 'silent.html' } },
  },
  worker: { format: 'es' },
  test: { include: ['src/**/*.test.ts', 'locale/*.test.ts'], environment: 'node' },
})
