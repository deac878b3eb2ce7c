import { expect, test } from 'vitest'
import { itemOf, trashedOf } from './item.ts'
import { Multistatus, type Props } from './multistatus.ts'

const body = `<?xml version="1.0" encoding="UTF-8"?>
<d:multistatus xmlns:d="DAV:" xmlns:s="http://sabredav.org/ns" xmlns:oc="http://owncloud.org/ns">
<d:response><d:href>/dav/spaces/a$b/</d:href><d:propstat><d:prop><d:resourcetype><d:collection/></d:resourcetype><oc:fileid>a$b!c</oc:fileid></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat></d:response>
<d:response><d:href>/dav/spaces/a$b/x%20%26%20y.txt</d:href><d:propstat><d:prop><d:resourcetype></d:resourcetype><oc:name>x &amp; &#228;&#x1F600;.txt</oc:name><oc:size>12</oc:size><d:getetag>&quot;e&quot;</d:getetag><oc:share-types><oc:share-type>0</oc:share-type><oc:share-type>3</oc:share-type></oc:share-types><d:getlastmodified>Fri, 01 Mar 2024 10:00:00 GMT</d:getlastmodified></d:prop><d:status>HTTP/1.1 200 OK</d:status></d:propstat><d:propstat><d:prop><oc:permissions/></d:prop><d:status>HTTP/1.1 404 Not Found</d:status></d:propstat></d:response>
</d:multistatus>`

function parse(pieces: string[]) {
  const all: { href: string; props: Props }[] = []
  const m = new Multistatus((href, props) => all.push({ href, props }))
  for (const p of pieces) m.push(p)
  return all
}

test('a multi-status means the same however it arrives', () => {
  const whole = parse([body])
  expect(whole).toEqual([
    { href: '/dav/spaces/a$b/', props: { resourcetype: '1', fileid: 'a$b!c' } },
    {
      href: '/dav/spaces/a$b/x%20%26%20y.txt',
      props: { resourcetype: '', name: 'x & ä😀.txt', size: '12', getetag: '"e"', 'share-types': '0,3', getlastmodified: 'Fri, 01 Mar 2024 10:00:00 GMT' },
    },
  ])
  for (const size of [1, 7, 64, 333]) {
    const pieces = []
    for (let i = 0; i < body.length; i += size) pieces.push(body.slice(i, i + size))
    expect(parse(pieces)).toEqual(whole)
  }
})

test('items', () => {
  const [dir, file] = parse([body]).map(({ href, props }) => itemOf(href, props))
  expect(dir).toMatchObject({ id: 'a$b!c', dir: true, mtime: 0 })
  expect(file).toMatchObject({ name: 'x & ä😀.txt', dir: false, size: 12, mtime: Date.UTC(2024, 2, 1, 10), can: '' })
  expect(trashedOf('/dav/spaces/trash-bin/a$b/k%21', { 'trashbin-original-filename': 'n', 'trashbin-original-location': 'd/n' })).toMatchObject({ id: 'k!', name: 'n', gone: { from: 'd/n', at: 0 } })
})

test('ten thousand entries take no more than a moment', () => {
  const [, , entry = ''] = body.split(/(?=<d:response>)/)
  const many = entry.replace(/<\/d:multistatus>/, '').repeat(10_000)
  let n = 0
  const began = performance.now()
  const m = new Multistatus(() => n++)
  for (let i = 0; i < many.length; i += 65_536) m.push(many.slice(i, i + 65_536))
  expect(n).toBe(10_000)
  expect(performance.now() - began).toBeLessThan(5000)
})
