// Package session keeps who is signed in, when everybody was last, and which
// tokens were revoked. It does not know how people sign in.
package session

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"opencloud/auth/idp/file"
	"opencloud/cloud"
)

// A Session is somebody signed in: a browser, which has its secret in a
// cookie, or an app, which has it as a refresh token.
type Session struct {
	ID      string       `json:"id"`
	User    cloud.UserID `json:"user"`
	Secret  string       `json:"secret"` // digest of the secret
	Made    time.Time    `json:"made"`
	Auth    time.Time    `json:"auth"` // when the password was asked for last
	Seen    time.Time    `json:"seen"`
	Expires time.Time    `json:"expires"`
	Methods []string     `json:"amr,omitempty"` // RFC 8176
	// What the browser or the app called itself when it was seen, and its address.
	Agent string `json:"agent,omitempty"`
	From  string `json:"from,omitempty"`

	// Of a browser.
	Stay bool     `json:"stay,omitempty"` // the user wants to stay signed in
	Tell []string `json:"tell,omitempty"` // clients to tell when it ends

	// Of an app.
	Client string `json:"client,omitempty"`
	Parent string `json:"parent,omitempty"` // the browser's session that it began in
	Scope  string `json:"scope,omitempty"`
	// The secret before, what made the present one of it, and when.
	Before  string    `json:"before,omitempty"`
	Salt    []byte    `json:"salt,omitempty"`
	Rotated time.Time `json:"rotated,omitzero"`
}

// App tells whether it is an app's and not a browser's.
func (s *Session) App() bool { return s.Client != "" }

// A Store keeps sessions in a log, one JSON value a line, which is written anew
// when most of it is history. What its methods have written is durable.
type Store struct {
	path string
	log  *slog.Logger

	disk   sync.Mutex // one writer at a time; taken before mu
	file   *os.File
	size   int64
	lines  int
	broken bool // the end of the file is not known: write it anew
	sweep  time.Time

	mu     sync.RWMutex
	byID   map[string]*Session // the values never change
	byUser map[cloud.UserID]map[string]*Session
	denied map[string]time.Time       // ids of access tokens that were revoked, until they expire
	last   map[cloud.UserID]time.Time // when somebody signed in
}

// A line of the log is one of these.
type line struct {
	Session *Session  `json:"session,omitempty"`
	End     string    `json:"end,omitempty"`
	Deny    string    `json:"deny,omitempty"`
	Until   time.Time `json:"until,omitzero"`
	// Last is when User signed in, for those whose session is over.
	User cloud.UserID `json:"user,omitempty"`
	Last time.Time    `json:"last,omitzero"`
}

// Bounds: of browsers and of apps that one user has signed in to, the ones
// longest not used end for a new one; of revoked tokens.
const (
	Max       = 200
	maxDenied = 50_000
)

const sweepEvery = 10 * time.Minute

// Open reads the log, if there is one.
func Open(path string, log *slog.Logger) (*Store, error) {
	s := &Store{path: path, log: log}
	s.clear()
	body, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := s.load(body); err != nil {
		// Nobody can say who was signed out in what is lost, so everybody is.
		log.Error("the list of who is signed in is damaged; it is set aside and everybody has to sign in again", "file", path, "error", err)
		if err := os.Rename(path, path+".damaged"); err != nil {
			return nil, err
		}
		s.clear()
	}
	s.disk.Lock()
	defer s.disk.Unlock()
	return s, s.rewrite()
}

func (s *Store) clear() {
	s.byID = map[string]*Session{}
	s.byUser = map[cloud.UserID]map[string]*Session{}
	s.denied = map[string]time.Time{}
	s.last = map[cloud.UserID]time.Time{}
}

// load applies a log. Its last line may be cut short: then nobody was told
// that it had been written.
func (s *Store) load(body []byte) error {
	now := time.Now()
	for n := 1; len(body) > 0; n++ {
		text, rest, whole := bytes.Cut(body, []byte("\n"))
		body = rest
		var l line
		err := json.Unmarshal(text, &l)
		if err == nil && l.Session == nil && l.End == "" && l.Deny == "" && l.User == "" {
			err = errors.New("it says nothing")
		}
		if err != nil || !whole {
			if len(rest) == 0 {
				return nil
			}
			return fmt.Errorf("line %d: %w", n, err)
		}
		s.apply(l, now)
	}
	return nil
}

func (s *Store) apply(l line, now time.Time) {
	switch {
	case l.Session != nil:
		s.drop(l.Session.ID)
		if l.Session.Auth.After(s.last[l.Session.User]) {
			s.last[l.Session.User] = l.Session.Auth
		}
		if now.Before(l.Session.Expires) {
			s.byID[l.Session.ID] = l.Session
			of := s.byUser[l.Session.User]
			if of == nil {
				of = map[string]*Session{}
				s.byUser[l.Session.User] = of
			}
			of[l.Session.ID] = l.Session
		}
	case l.End != "":
		s.drop(l.End)
	case l.Deny != "":
		if now.Before(l.Until) {
			s.denied[l.Deny] = l.Until
		}
	case l.User != "":
		s.last[l.User] = l.Last
	}
}

func (s *Store) drop(id string) {
	old := s.byID[id]
	if old == nil {
		return
	}
	delete(s.byID, id)
	of := s.byUser[old.User]
	delete(of, id)
	if len(of) == 0 {
		delete(s.byUser, old.User)
	}
}

// Close lets go of the file.
func (s *Store) Close() error {
	s.disk.Lock()
	defer s.disk.Unlock()
	return s.file.Close()
}

// Get is a session that goes on, nil if there is none.
func (s *Store) Get(id string) *Session {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.find(id)
}

func (s *Store) find(id string) *Session {
	if x := s.byID[id]; x != nil && time.Now().Before(x.Expires) {
		return x
	}
	return nil
}

// Alive tells whether a session goes on and a token of it was not revoked.
func (s *Store) Alive(id, token string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	_, denied := s.denied[token]
	return !denied && s.find(id) != nil
}

// Add begins a session.
func (s *Store) Add(x *Session) error {
	s.disk.Lock()
	defer s.disk.Unlock()
	var lines []line
	s.mu.RLock()
	var same []*Session
	for _, o := range s.byUser[x.User] {
		if o.App() == x.App() {
			same = append(same, o)
		}
	}
	s.mu.RUnlock()
	if len(same) >= Max {
		oldest := slices.MinFunc(same, func(a, b *Session) int { return cmp.Or(a.Seen.Compare(b.Seen), cmp.Compare(a.ID, b.ID)) })
		lines = append(lines, line{End: oldest.ID})
	}
	return s.write(append(lines, line{Session: x})...)
}

// Change changes a session; nil when it is over. What f returns as an error
// is returned as it is, and nothing is changed.
func (s *Store) Change(id string, f func(*Session) error) (*Session, error) {
	s.disk.Lock()
	defer s.disk.Unlock()
	old := s.Get(id)
	if old == nil {
		return nil, nil
	}
	x := *old
	if err := f(&x); err != nil {
		return nil, err
	}
	return &x, s.write(line{Session: &x})
}

// End ends sessions at once, and says which of them there were.
func (s *Store) End(ids ...string) ([]*Session, error) {
	s.disk.Lock()
	defer s.disk.Unlock()
	var ended []*Session
	var lines []line
	s.mu.Lock() // before it is written: the next request must not pass
	for _, id := range ids {
		if x := s.find(id); x != nil {
			s.drop(id)
			ended = append(ended, x)
			lines = append(lines, line{End: id})
		}
	}
	s.mu.Unlock()
	if len(lines) == 0 {
		return nil, nil
	}
	return ended, s.write(lines...)
}

// Deny revokes one access token.
func (s *Store) Deny(token string, until time.Time) error {
	s.disk.Lock()
	defer s.disk.Unlock()
	s.mu.Lock()
	full := len(s.denied) >= maxDenied
	if !full {
		s.denied[token] = until
	}
	s.mu.Unlock()
	if full {
		return cloud.Throttled
	}
	return s.write(line{Deny: token, Until: until})
}

// Of are the sessions of a user that go on, in no particular order.
func (s *Store) Of(u cloud.UserID) (all []*Session) {
	now := time.Now()
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, x := range s.byUser[u] {
		if now.Before(x.Expires) {
			all = append(all, x)
		}
	}
	return all
}

// Last is when a user last signed in; zero: never.
func (s *Store) Last(u cloud.UserID) time.Time {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.last[u]
}

// Forget drops all there is of a user, in the history of the log, too. It
// says which sessions there were.
func (s *Store) Forget(u cloud.UserID) ([]*Session, error) {
	s.disk.Lock()
	defer s.disk.Unlock()
	s.mu.Lock()
	_, was := s.last[u]
	var ended []*Session
	for id, x := range s.byUser[u] {
		s.drop(id)
		ended = append(ended, x)
	}
	delete(s.last, u)
	s.mu.Unlock()
	if !was && ended == nil {
		return nil, nil
	}
	err := s.rewrite()
	if err != nil {
		s.broken = true // the file still has them: the next write tries again
	}
	return ended, err
}

// write makes the lines durable and then true. The caller holds disk.
func (s *Store) write(lines ...line) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, l := range lines {
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	now := time.Now()
	s.tidy(now)
	if s.broken {
		if err := s.rewrite(); err != nil {
			return err
		}
	}
	_, err := s.file.WriteAt(b.Bytes(), s.size)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		s.broken = true
		return fmt.Errorf("%s: %w", s.path, err)
	}
	s.size += int64(b.Len())
	s.lines += len(lines)
	s.mu.Lock()
	for _, l := range lines {
		s.apply(l, now)
	}
	live := len(s.byID) + len(s.denied) + len(s.last)
	s.mu.Unlock()
	if s.lines > 4*live+1000 {
		if err := s.rewrite(); err != nil { // the lines are safe, and the next write tries again
			s.log.Error("the list of who is signed in cannot be written anew", "file", s.path, "error", err)
		}
	}
	return nil
}

// tidy forgets what has expired, now and then.
func (s *Store) tidy(now time.Time) {
	if now.Before(s.sweep) {
		return
	}
	s.sweep = now.Add(sweepEvery)
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, x := range s.byID {
		if !now.Before(x.Expires) {
			s.drop(id)
		}
	}
	maps.DeleteFunc(s.denied, func(_ string, until time.Time) bool { return !now.Before(until) })
}

// rewrite begins a new file with what is true now. The caller holds disk.
func (s *Store) rewrite() (err error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	lines := 0
	s.mu.RLock()
	for _, x := range s.byID {
		err = errors.Join(err, enc.Encode(line{Session: x}))
		lines++
	}
	for id, until := range s.denied {
		err = errors.Join(err, enc.Encode(line{Deny: id, Until: until}))
		lines++
	}
	for id, at := range s.last {
		err = errors.Join(err, enc.Encode(line{User: id, Last: at}))
		lines++
	}
	s.mu.RUnlock()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(s.path+".new", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.Write(b.Bytes()); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), s.path)
	}
	if err == nil {
		err = file.SyncDir(filepath.Dir(s.path))
	}
	if err != nil {
		f.Close()
		os.Remove(f.Name())
		return err
	}
	if s.file != nil {
		s.file.Close()
	}
	s.file, s.size, s.lines, s.broken = f, int64(b.Len()), lines, false
	return nil
}
