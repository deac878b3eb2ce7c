package compat

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"opencloud/test/daemon"
)

// events is a stream of them from the server.
type events struct {
	*testing.T
	resp *http.Response
	in   *bufio.Reader
	last string // id
}

const eventsPath = "/ocs/v2.php/apps/notifications/api/v1/notifications/sse"

// listen opens a stream as one version of HTTP or the other.
func listen(t *testing.T, d *daemon.Server, http2 bool, header ...string) *events {
	t.Helper()
	r, err := d.Request("GET", eventsPath, nil, header...)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{Protocols: new(http.Protocols)}
	tr.Protocols.SetHTTP1(!http2)
	tr.Protocols.SetUnencryptedHTTP2(http2)
	t.Cleanup(tr.CloseIdleConnections)
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" || resp.Header.Get("Content-Encoding") != "" || (resp.ProtoMajor == 2) != http2 {
		t.Fatalf("got %s %s with %v", resp.Proto, resp.Status, resp.Header)
	}
	return &events{t, resp, bufio.NewReader(resp.Body), ""}
}

// next is the next event, or a comment.
func (e *events) next() (name, data string) {
	e.Helper()
	for {
		line, err := e.in.ReadString('\n')
		if err != nil {
			return "end", err.Error()
		}
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch key {
		case ":":
			return "comment", ""
		case "id":
			e.last = value
		case "event":
			name = value
		case "data":
			return name, value
		}
	}
}

// A stream outlives the time for which nothing may stand still, begins where
// it ended when the server was started again, and does not keep the server
// from stopping.
func TestEventStreams(t *testing.T) {
	d := daemon.Start(t, "", "PROXY_STALL_TIMEOUT=300ms", "SSE_KEEPALIVE_INTERVAL=500ms", "OC_SHUTDOWN_TIMEOUT=1m")
	d.Do(t, "GET", "/graph/v1.0/me/drive", "") // makes it
	for _, http2 := range []bool{false, true} {
		e := listen(t, d, http2)
		for i := range 4 { // one at once, and then 1.5 s of nothing
			if name, data := e.next(); name != "comment" {
				t.Fatalf("comment %d: got %s %s", i, name, data)
			}
		}
		name := "first"
		if http2 {
			name = "second"
		}
		if resp, body := d.Do(t, "PUT", "/remote.php/webdav/"+name, "x", "Initiator-ID", "tab"); resp.StatusCode != 201 {
			t.Fatalf("PUT: %s %s", resp.Status, body)
		}
		got, data := e.next()
		for got == "comment" {
			got, data = e.next()
		}
		if got != "postprocessing-finished" || !strings.Contains(data, `"initiatorid":"tab"`) {
			t.Errorf("http2 %v: got %s %s", http2, got, data)
		}
		begun := time.Now()
		if err := d.Stop(); err != nil {
			t.Errorf("the server stopped with %v", err)
		}
		if took := time.Since(begun); took > 20*time.Second {
			t.Errorf("http2 %v: it took %v to stop with a stream open", http2, took)
		}
		for got != "end" {
			got, _ = e.next()
		}
		if err := d.Up(); err != nil {
			t.Fatal(err)
		}
		if resp, body := d.Do(t, "MKCOL", "/remote.php/webdav/after "+name, ""); resp.StatusCode != 201 {
			t.Fatalf("MKCOL: %s %s", resp.Status, body)
		}
		e = listen(t, d, http2, "Last-Event-ID", e.last)
		got, data = e.next()
		for got == "comment" {
			got, data = e.next()
		}
		if got != "folder-created" {
			t.Errorf("http2 %v, resumed: got %s %s, want the folder that was made while nobody listened", http2, got, data)
		}
		e.resp.Body.Close()
	}
	if _, body := d.Do(t, "GET", "/ocs/v1.php/cloud/capabilities?format=json", ""); !strings.Contains(body, `"support-sse":true`) {
		t.Errorf("the capabilities do not tell of events: %s", body)
	}
}

// A new password ends the streams of the other sessions, and a disabled account all.
func TestEventStreamsEnd(t *testing.T) {
	d := daemon.Start(t, "", "SSE_KEEPALIVE_INTERVAL=50ms")
	resp, body := d.Do(t, "POST", "/graph/v1.0/users",
		`{"displayName":"Ada","onPremisesSamAccountName":"ada","mail":"ada@example.org","passwordProfile":{"password":"a fine long secret"}}`, "Content-Type", "application/json")
	if resp.StatusCode != 201 {
		t.Fatalf("%s %s", resp.Status, body)
	}
	as := func(r *http.Request) { r.SetBasicAuth("ada", "a fine long secret") }
	r, err := d.Request("GET", eventsPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	as(r)
	if resp, err = http.DefaultClient.Do(r); err != nil || resp.StatusCode != 200 {
		t.Fatalf("got %v, %v", resp, err)
	}
	defer resp.Body.Close()
	e := &events{t, resp, bufio.NewReader(resp.Body), ""}
	if name, data := e.next(); name != "comment" {
		t.Fatalf("got %s %s", name, data)
	}
	if resp, body := d.Do(t, "PATCH", "/graph/v1.0/users/ada", `{"accountEnabled":false}`, "Content-Type", "application/json"); resp.StatusCode != 200 {
		t.Fatalf("%s %s", resp.Status, body)
	}
	var names []string
	for {
		name, _ := e.next()
		if name == "end" {
			break
		}
		if name != "comment" {
			names = append(names, name)
		}
	}
	if len(names) != 1 || names[0] != "backchannel-logout" {
		t.Errorf("disabled: got %q, want a backchannel-logout and the end", names)
	}
}
