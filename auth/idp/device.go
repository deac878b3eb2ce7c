package idp

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"opencloud/auth/idp/session"
)

// maxAgent bounds what is kept of what a client calls itself, in bytes.
const maxAgent = 300

// seen notes that a session is in use, and where.
func seen(s *session.Session, r *http.Request, now time.Time) {
	agent := r.UserAgent()
	s.Seen, s.Agent, s.From = now, strings.ToValidUTF8(agent[:min(len(agent), maxAgent)], ""), r.RemoteAddr
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		s.From = at.Addr().Unmap().String()
	}
}

// What User-Agent headers have in them. The order counts: most browsers claim
// to be others, too.
var (
	browsers = [][2]string{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"Vivaldi/", "Vivaldi"}, {"SamsungBrowser/", "Samsung Internet"}, {"Firefox/", "Firefox"}, {"FxiOS/", "Firefox"},
		{"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	}
	systems = [][2]string{
		{"Android", "Android"}, {"iPhone", "iPhone"}, {"iPad", "iPad"}, {"iOS", "iOS"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
		{"Macintosh", "macOS"}, {"Mac OS", "macOS"}, {"Darwin", "macOS"}, {"Linux", "Linux"}, {"X11", "Unix"},
	}
)

// deviceOf is what people can tell a device by: "Firefox, Linux". It is empty
// where the client does not say.
func deviceOf(agent string) string {
	var known []string
	for _, table := range [][][2]string{browsers, systems} {
		for _, row := range table {
			if strings.Contains(agent, row[0]) {
				known = append(known, row[1])
				break
			}
		}
	}
	return strings.Join(known, ", ")
}
