// Package browser drives a real Chromium for tests, over its pipe (Chrome
// DevTools Protocol): it opens pages, types, looks. It knows no page of ours.
package browser

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// patience is how long a page may take to become what a test waits for.
const patience = 20 * time.Second

// A Browser is a Chromium with one page, fresh and without a window. What
// goes wrong in it is fatal for the test.
type Browser struct {
	t       testing.TB
	to      io.Writer
	from    *bufio.Reader
	last    int
	session string
}

// Start runs Chromium until the test ends. Where there is none the test is
// skipped, unless COMPAT_REQUIRE is set. Certificates are not checked. It must
// do all it has to within two minutes.
func Start(t testing.TB) *Browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		if os.Getenv("COMPAT_REQUIRE") != "" {
			t.Fatal("chromium is not installed: apt-get install chromium")
		}
		t.Skip("chromium is not installed: apt-get install chromium")
	}
	toR, toW, err1 := os.Pipe()
	fromR, fromW, err2 := os.Pipe()
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	cmd := exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--ignore-certificate-errors", "--remote-debugging-pipe", "--user-data-dir="+t.TempDir(), "about:blank")
	cmd.ExtraFiles = []*os.File{toR, fromW}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toR.Close()
	fromW.Close()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
		toW.Close()
		fromR.Close()
		if t.Failed() {
			t.Logf("chromium says:\n%.2000s", stderr.String())
		}
	})
	fromR.SetReadDeadline(time.Now().Add(2 * time.Minute))
	b := &Browser{t: t, to: toW, from: bufio.NewReader(fromR)}
	var target struct{ TargetID string }
	b.Call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	b.Call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	b.session = attached.SessionID
	b.Call("Page.enable", nil, nil)
	return b
}

type message struct {
	ID     int
	Result json.RawMessage
	Error  *struct{ Message string }
}

func (b *Browser) next() (m message) {
	b.t.Helper()
	text, err := b.from.ReadBytes(0)
	if err == nil {
		err = json.Unmarshal(text[:len(text)-1], &m)
	}
	if err != nil {
		b.t.Fatalf("chromium: %v", err)
	}
	return m
}

// Call sends a command of the protocol and decodes its result; into may be nil.
func (b *Browser) Call(method string, params map[string]any, into any) {
	b.t.Helper()
	if err := b.try(method, params, into); err != nil {
		b.t.Fatal(err)
	}
}

func (b *Browser) try(method string, params map[string]any, into any) error {
	b.t.Helper()
	b.last++
	msg := map[string]any{"id": b.last, "method": method, "params": params}
	if params == nil {
		delete(msg, "params")
	}
	if b.session != "" {
		msg["sessionId"] = b.session
	}
	text, err := json.Marshal(msg)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		b.t.Fatal(err)
	}
	for {
		m := b.next()
		if m.ID != b.last {
			continue
		}
		if m.Error != nil {
			return fmt.Errorf("%s: %s", method, m.Error.Message)
		}
		if into == nil {
			return nil
		}
		return json.Unmarshal(m.Result, into)
	}
}

// Scripts says whether pages may run any; a new browser lets them.
func (b *Browser) Scripts(on bool) {
	b.t.Helper()
	b.Call("Emulation.setScriptExecutionDisabled", map[string]any{"value": !on}, nil)
}

// Open goes to an address and does not wait for the page.
func (b *Browser) Open(address string) {
	b.t.Helper()
	b.Call("Page.navigate", map[string]any{"url": address}, nil)
}

// Until waits until an expression is true.
func (b *Browser) Until(what, expression string) {
	b.t.Helper()
	for deadline := time.Now().Add(patience); b.Eval(expression) != true; {
		if time.Now().After(deadline) {
			b.t.Fatalf("not true: %s; the page is: %v", what, b.Text())
		}
	}
}

// Keys types texts. "\t" and "\r" are keys, and "focus:<selector>" waits
// until the page is there and has the focus on such an element.
func (b *Browser) Keys(all ...string) {
	b.t.Helper()
	for _, k := range all {
		if selector, ok := strings.CutPrefix(k, "focus:"); ok {
			b.Until("the focus is on "+selector, fmt.Sprintf(`document.readyState == "complete" && location.protocol != "about:" && document.activeElement && document.activeElement.matches(%q)`, selector))
			continue
		}
		switch k {
		case "\t", "\r":
			name, code := "Tab", 9
			if k == "\r" {
				name, code = "Enter", 13
			}
			for _, typ := range []string{"keyDown", "keyUp"} {
				p := map[string]any{"type": typ, "key": name, "code": name, "windowsVirtualKeyCode": code}
				if typ == "keyDown" && k == "\r" {
					p["text"] = k
				}
				b.Call("Input.dispatchKeyEvent", p, nil)
			}
		default:
			b.Call("Input.insertText", map[string]any{"text": k}, nil)
		}
	}
}

// Press waits for a button on a whole page and presses it by key.
func (b *Browser) Press(selector string) {
	b.t.Helper()
	b.Until(selector, fmt.Sprintf(`document.readyState == "complete" && !!document.querySelector(%q)`, selector))
	b.Eval(fmt.Sprintf("document.querySelector(%q).focus()", selector))
	b.Keys("\r")
}

// Text is where the browser is and what it shows.
func (b *Browser) Text() any {
	b.t.Helper()
	return b.Eval("location.href + ' ' + document.body.innerText")
}

// Eval is the value of an expression, of a promise what it becomes; nil
// between two pages.
func (b *Browser) Eval(expression string) any {
	b.t.Helper()
	var r struct{ Result struct{ Value any } }
	if b.try("Runtime.evaluate", map[string]any{"expression": expression, "awaitPromise": true, "returnByValue": true}, &r) != nil {
		return nil
	}
	return r.Result.Value
}

// Picture writes the whole page into a file as PNG, for people to look at.
func (b *Browser) Picture(path string, width, height int, dark bool) {
	b.t.Helper()
	scheme := map[bool]string{true: "dark", false: "light"}[dark]
	b.Call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
	b.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}, nil)
	var shot struct{ Data string }
	b.Call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err == nil {
		err = os.WriteFile(path, png, 0o644)
	}
	if err != nil {
		b.t.Fatal(err)
	}
}
