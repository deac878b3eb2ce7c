package oidc

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"opencloud/auth/idp/file"
)

// ended keeps what the issuer has ended, in two generations: when the young
// one is full or old, the old one is dropped and the young one takes its
// place. So it is remembered for at least half of generations, which is longer
// than an access token should live, and memory is bounded. Each generation is
// a file with a JSON value a line.
type ended struct {
	path string
	log  *slog.Logger

	disk  sync.Mutex // one writer at a time; taken before mu
	file  *os.File
	size  int64
	begun time.Time // when the young generation began

	mu         sync.RWMutex
	young, old map[mark]time.Time
}

// A mark says what has ended. Its time is when, by the clock that was ahead.
type mark struct {
	Kind  kind   `json:"kind"`
	Value string `json:"value"`
}

type kind string

const (
	session kind = "sid"      // one session, for good
	subject kind = "sub"      // all of a subject until then
	unnamed kind = "sub only" // those of a subject of which no session is known
	seen    kind = "jti"      // a logout token, which is not for twice
)

type endedLine struct {
	mark
	At time.Time `json:"at"`
}

const (
	generation = 50_000
	lasts      = 7 * 24 * time.Hour
)

func openEnded(path string, log *slog.Logger) (*ended, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, err
	}
	e := &ended{path: path, log: log, old: map[mark]time.Time{}, young: map[mark]time.Time{}}
	if _, err := e.load("old", e.old); err != nil {
		return nil, err
	}
	body, err := e.load("young", e.young)
	if err != nil {
		return nil, err
	}
	// A last line that is cut short was told to nobody.
	e.size = int64(bytes.LastIndexByte(body, '\n') + 1)
	e.file, err = os.OpenFile(filepath.Join(path, "young"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	e.begun = time.Now()
	if info, err := e.file.Stat(); err == nil && e.size > 0 {
		e.begun = info.ModTime() // later than it was: nothing is forgotten too early
	}
	return e, errors.Join(e.file.Truncate(e.size), file.SyncDir(path))
}

func (e *ended) load(name string, into map[mark]time.Time) ([]byte, error) {
	body, err := os.ReadFile(filepath.Join(e.path, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for text := range bytes.Lines(body) {
		var l endedLine
		if !bytes.HasSuffix(text, []byte("\n")) {
			break
		}
		if err := json.Unmarshal(text, &l); err != nil {
			e.log.Error("a line of what the OpenID Connect issuer has ended is damaged", "file", filepath.Join(e.path, name), "error", err)
			continue
		}
		into[l.mark] = l.At
	}
	return body, nil
}

func (e *ended) close() error {
	e.disk.Lock()
	defer e.disk.Unlock()
	return e.file.Close()
}

// alive tells whether a token goes on that was issued at a time.
func (e *ended) alive(sid, sub string, issued time.Time) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if len(e.young)+len(e.old) == 0 {
		return true
	}
	if _, over := e.find(mark{session, sid}); over && sid != "" {
		return false
	}
	if at, over := e.find(mark{subject, sub}); over && !issued.After(at) {
		return false
	}
	at, over := e.find(mark{unnamed, sub})
	return !over || sid != "" || issued.After(at)
}

func (e *ended) find(m mark) (at time.Time, ok bool) {
	if at, ok = e.young[m]; !ok {
		at, ok = e.old[m]
	}
	return at, ok
}

// add ends things at once, and durably when it returns; false when the first
// of them is there already, and nothing is done.
func (e *ended) add(at time.Time, first mark, more ...mark) (bool, error) {
	e.disk.Lock()
	defer e.disk.Unlock()
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	e.mu.Lock() // before it is written: the next request must not pass
	if _, there := e.find(first); there {
		e.mu.Unlock()
		return false, nil
	}
	full := len(e.young) >= generation || time.Since(e.begun) >= lasts
	if full {
		e.old, e.young = e.young, make(map[mark]time.Time)
	}
	var err error
	for _, m := range append(more, first) {
		e.young[m] = at
		err = errors.Join(err, enc.Encode(endedLine{m, at}))
	}
	e.mu.Unlock()
	if err == nil && full {
		err = e.rotate()
	}
	if err == nil {
		_, err = e.file.WriteAt(b.Bytes(), e.size)
	}
	if err == nil {
		err = e.file.Sync()
	}
	if err != nil { // who sent it tries again
		e.mu.Lock()
		delete(e.young, first)
		e.mu.Unlock()
		return false, err
	}
	e.size += int64(b.Len())
	return true, nil
}

// rotate begins the file of a new generation.
func (e *ended) rotate() error {
	young := filepath.Join(e.path, "young")
	f, err := os.OpenFile(young+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err = os.Rename(young, filepath.Join(e.path, "old")); err == nil {
		err = os.Rename(f.Name(), young)
	}
	if err == nil {
		err = file.SyncDir(e.path)
	}
	if err != nil {
		f.Close()
		return err
	}
	e.file.Close()
	e.file, e.size, e.begun = f, 0, time.Now()
	return nil
}
