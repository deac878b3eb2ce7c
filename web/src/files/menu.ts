import type { Component } from 'vue'

/** Something that can be done with what is selected. */
export interface Action {
  id: string
  label: string
  icon: Component
  keys?: string
  run: () => void
  danger?: boolean
  apart?: boolean // a line before it
  main?: boolean // in the selection bar, too
}
