/// <reference types="vite/client" />
declare module '*.po' {
  const words: Record<string, string | string[]>
  export default words
}
