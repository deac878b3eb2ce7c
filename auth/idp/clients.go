package idp

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"opencloud/cloud"
)

// A client is a program that may have people signed in. None has a secret.
type client struct {
	id          string
	name        string   // for people; empty: the system itself
	redirects   []string // where codes may be sent
	afterwards  []string // where browsers may be sent after signing out
	backchannel string   // told when a session ends
}

// The web app, and the apps for desktop and phone.
const (
	webID     = "web"
	desktopID = "OpenCloudDesktop"
	androidID = "OpenCloudAndroid"
	iosID     = "OpenCloudIOS"

	securityID = "security" // a page of ours: see security
)

func newClients(site *url.URL, more []string) (map[string]*client, error) {
	at := site.String()
	all := map[string]*client{}
	for _, c := range []*client{
		{id: webID, redirects: []string{at + "/", at + "/oidc-callback.html", at + "/oidc-silent-redirect.html"}, afterwards: []string{at + "/"}},
		{id: securityID, redirects: []string{at + securityPath}},
		{id: desktopID, name: "OpenCloud Desktop", redirects: []string{"http://127.0.0.1", "http://[::1]", "http://localhost"}},
		{id: androidID, name: "OpenCloud Android", redirects: []string{"oc://android.opencloud.eu"}, afterwards: []string{"oc://android.opencloud.eu"}},
		{id: iosID, name: "OpenCloud iOS", redirects: []string{"oc://ios.opencloud.eu"}, afterwards: []string{"oc://ios.opencloud.eu"}},
	} {
		all[c.id] = c
	}
	for _, text := range more {
		c, err := parseClient(text)
		if err != nil {
			return nil, err
		}
		if all[c.id] != nil {
			return nil, cloud.Refuse(cloud.Invalid, "There are two clients %q (IDP_CLIENTS).", c.id)
		}
		all[c.id] = c
	}
	return all, nil
}

// parseClient reads one of Options.Clients.
func parseClient(text string) (*client, error) {
	words := strings.Fields(text)
	if len(words) < 2 {
		return nil, cloud.Refuse(cloud.Invalid, "The client %q (IDP_CLIENTS) needs an id and at least one redirect address, with a blank between them.", text)
	}
	c := &client{id: words[0], name: words[0]}
	for _, word := range words[1:] {
		key, address, ok := strings.Cut(word, "=")
		if !ok || key != "logout" && key != "backchannel" {
			key, address = "", word
		}
		u, err := url.Parse(address)
		// No script, no data, no file; and what a browser would take apart
		// in another way than we do is no address.
		if err != nil || u.Scheme == "" || u.Fragment != "" || strings.Contains(address, "#") || u.User != nil || u.String() != address ||
			(u.Scheme == "http" || u.Scheme == "https") && u.Host == "" ||
			slices.Contains([]string{"javascript", "data", "file", "vbscript", "blob", "about"}, u.Scheme) {
			return nil, cloud.Refuse(cloud.Invalid, "The address %q of the client %q (IDP_CLIENTS) is not valid: it is an absolute one without fragment.", address, c.id)
		}
		if u.Scheme == "http" && !slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname()) {
			return nil, cloud.Refuse(cloud.Invalid, "The address %q of the client %q (IDP_CLIENTS) must begin with https.", address, c.id)
		}
		switch key {
		case "logout":
			c.afterwards = append(c.afterwards, address)
		case "backchannel":
			if u.Scheme != "http" && u.Scheme != "https" {
				return nil, cloud.Refuse(cloud.Invalid, "The address %q of the client %q (IDP_CLIENTS) must begin with https.", address, c.id)
			}
			c.backchannel = address
		default:
			c.redirects = append(c.redirects, address)
		}
	}
	if len(c.redirects) == 0 {
		return nil, cloud.Refuse(cloud.Invalid, "The client %q (IDP_CLIENTS) has no redirect address.", c.id)
	}
	return c, nil
}

// originsOf are the sites that clients are on, as browsers name them.
func originsOf(clients map[string]*client) map[string]bool {
	all := map[string]bool{}
	for _, c := range clients {
		for _, address := range c.redirects {
			if u, err := url.Parse(address); err == nil && (u.Scheme == "https" || u.Scheme == "http" && u.Port() != "") {
				all[u.Scheme+"://"+u.Host] = true
			}
		}
	}
	return all
}

// redirectsTo tells whether codes may be sent to an address: to the letter
// one of the client's, except that an app on the user's machine listens on
// any port (RFC 8252, section 7.3).
func (c *client) redirectsTo(address string) bool {
	return slices.ContainsFunc(c.redirects, func(registered string) bool {
		return address == registered || samePlace(c, registered, address)
	})
}

// samePlace compares strings, not what a parser makes of them.
func samePlace(c *client, registered, address string) bool {
	for _, host := range []string{"http://127.0.0.1", "http://[::1]", "http://localhost"} {
		path, ok := strings.CutPrefix(registered, host)
		// Any port of the name localhost is for our own client only: what the
		// name means is up to the machine (RFC 8252, section 8.3).
		if !ok || path != "" && path[0] != '/' || host == "http://localhost" && c.id != desktopID {
			continue
		}
		rest, ok := strings.CutPrefix(address, host)
		if !ok {
			continue
		}
		if port, ok := strings.CutPrefix(rest, ":"); ok {
			digits := len(port) - len(strings.TrimLeft(port, "0123456789"))
			if n, err := strconv.ParseUint(port[:digits], 10, 16); err != nil || n == 0 {
				continue
			}
			rest = port[digits:]
		}
		if rest == path || path == "" && rest == "/" {
			return true
		}
	}
	return false
}

// native tells whether whoever waits at the address cannot be told apart from
// another program on the user's machine (RFC 8252, section 8.6).
func (c *client) native(address string) bool {
	return c.id != webID && c.id != securityID && !strings.HasPrefix(address, "https://")
}
