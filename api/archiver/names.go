package archiver

import (
	"fmt"
	"net/url"
	"strings"
	"unicode/utf8"

	"opencloud/cloud"
)

// clean is a name that can do no harm wherever it is unpacked. Those that were
// given by a client are already; a disk can hold others.
func clean(name string) string {
	if len(name) <= cloud.MaxName && cloud.CheckName(name) == nil {
		return name
	}
	name = fit(strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == '/' || r == '\\' || r == utf8.RuneError {
			return '_'
		}
		return r
	}, name), cloud.MaxName)
	if strings.Trim(name, ".") == "" {
		return "_"
	}
	return name
}

// maxTitle leaves room for an extension.
const maxTitle = cloud.MaxName - len(".zip")

// fit cuts a name to n bytes, but not in the middle of a character.
func fit(name string, n int) string {
	if len(name) <= n {
		return name
	}
	for !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n]
}

// names are those that stand in one folder of the archive, each with the
// number that the next of this name may get.
type names map[string]int

// take is name or, when that is taken, one with a number: "a (1).txt".
func (t names) take(name string, dir bool) string {
	if _, taken := t[name]; !taken {
		t[name] = 1
		return name
	}
	stem, ext := name, ""
	if i := strings.LastIndexByte(name, '.'); i > 0 && !dir && len(name)-i <= 20 {
		stem, ext = name[:i], name[i:]
	}
	for n := t[name]; ; n++ {
		number := fmt.Sprintf(" (%d)", n)
		other := fit(stem, cloud.MaxName-len(number)-len(ext)) + number + ext
		if _, taken := t[other]; !taken {
			t[name], t[other] = n+1, 1
			return other
		}
	}
}

// disposition is a Content-Disposition (RFC 6266) by which a file is saved. The
// first name is for clients that take what is in quotes, the web client among
// them, and decode it as JavaScript's decodeURI does.
func disposition(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return `attachment; filename="` + b.String() + `"; filename*=UTF-8''` + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
}

// shrinks tells whether it is worth while to compress a file, by its name:
// most of what is large is compressed already.
func shrinks(name string) bool {
	kind, sub, _ := strings.Cut(cloud.MIMEType(name), "/")
	switch kind {
	case "video":
		return false
	case "audio":
		return sub == "wav" || sub == "midi"
	case "image":
		return sub == "svg+xml" || sub == "bmp" || sub == "tiff" || sub == "vnd.adobe.photoshop"
	case "font":
		return sub == "otf" || sub == "ttf"
	case "application":
		switch sub {
		case "zip", "gzip", "zstd", "pdf", "x-xz", "x-bzip2", "x-7z-compressed", "vnd.rar", "epub+zip", "java-archive",
			"vnd.android.package-archive", "vnd.debian.binary-package", "vnd.visio", "vnd.ms-visio.drawing":
			return false
		}
		return !strings.HasPrefix(sub, "vnd.openxmlformats-") && !strings.HasPrefix(sub, "vnd.oasis.opendocument.") &&
			!strings.HasSuffix(sub, ".macroenabled.12")
	}
	return true
}
