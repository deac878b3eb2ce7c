import { Archive, File, FileCode, FileImage, FileMusic, FileSpreadsheet, FileText, FileType, FileVideoCamera, Folder, Presentation } from '@lucide/vue'
import type { Component } from 'vue'
import { t } from './words.ts'

/** What kind of thing a name is of: its icon, its colour, its word. */
export interface Kind {
  name: string // of its colour: --kind-<name>
  icon: Component
  word: () => string
}

const folder: Kind = { name: 'folder', icon: Folder, word: () => t('Folder') }
const other: Kind = { name: 'other', icon: File, word: () => t('File') }

const kinds: [Kind, string][] = [
  [{ name: 'document', icon: FileText, word: () => t('Document') }, 'txt md markdown doc docx odt rtf pages tex epub'],
  [{ name: 'table', icon: FileSpreadsheet, word: () => t('Spreadsheet') }, 'xls xlsx ods csv tsv numbers'],
  [{ name: 'slides', icon: Presentation, word: () => t('Presentation') }, 'ppt pptx odp key'],
  [{ name: 'pdf', icon: FileType, word: () => t('PDF document') }, 'pdf'],
  [{ name: 'image', icon: FileImage, word: () => t('Image') }, 'png jpg jpeg gif webp svg bmp tif tiff heic heif avif ico psd raw cr2 nef dng'],
  [{ name: 'video', icon: FileVideoCamera, word: () => t('Video') }, 'mp4 mkv mov avi webm m4v mpg mpeg ogv wmv'],
  [{ name: 'audio', icon: FileMusic, word: () => t('Audio') }, 'mp3 flac wav ogg oga m4a aac opus wma'],
  [{ name: 'archive', icon: Archive, word: () => t('Archive') }, 'zip tar gz tgz bz2 xz zst 7z rar iso dmg deb rpm jar'],
  [{ name: 'code', icon: FileCode, word: () => t('Code') }, 'js ts jsx tsx vue go py rb rs c h cpp java kt swift cs php sh bash html css scss json yaml yml toml xml sql lua'],
]

const byExtension = new Map(kinds.flatMap(([kind, extensions]) => extensions.split(' ').map((e) => [e, kind] as const)))

export function kindOf(name: string, dir: boolean): Kind {
  if (dir) return folder
  return byExtension.get(name.slice(name.lastIndexOf('.') + 1).toLowerCase()) ?? other
}
