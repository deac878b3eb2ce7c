// Package secret keeps passwords as hashes that are slow to make and to check
// (argon2id, RFC 9106, in the PHC string format), for whoever has to keep any.
// It does not know whose they are, nor which are good enough.
package secret

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"runtime"
	"strings"
	"time"

	"golang.org/x/crypto/argon2"

	"opencloud/cloud"
	"opencloud/directory/recall"
)

// Options say what a hash costs. Changing them affects those made from then on.
type Options struct {
	Memory   int           // KiB
	Time     int           // passes over that memory
	Threads  int           // that check one password
	Checks   int           // at the same time; 0: one for each processor
	Remember time.Duration // how long a password that was right is not checked again; 0: never
}

// A Hasher makes and checks hashes, so many at a time.
type Hasher struct {
	opts Options
	gate chan struct{} // holds a token for each check under way
	seen *recall.Memory[struct{}]
}

// New is Invalid for a cost that is out of range.
func New(opts Options) (*Hasher, error) {
	if opts.Memory < 8 || opts.Memory > 4<<20 || opts.Time < 1 || opts.Time > 100 || opts.Threads < 1 || opts.Threads > 64 {
		return nil, cloud.Refuse(cloud.Invalid, "The cost of passwords is out of range: memory 8 to 4194304 KiB, time 1 to 100, threads 1 to 64.")
	}
	if opts.Checks <= 0 {
		opts.Checks = runtime.GOMAXPROCS(0)
	}
	return &Hasher{opts, make(chan struct{}, opts.Checks), recall.New[struct{}](opts.Remember)}, nil
}

// enter waits for its turn, or gives up with ctx.
func (h *Hasher) enter(ctx context.Context) error {
	select {
	case h.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *Hasher) leave() { <-h.gate }

// Hash makes the hash of a password; it takes the place of a check.
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	if err := h.enter(ctx); err != nil {
		return "", err
	}
	defer h.leave()
	var salt [16]byte
	rand.Read(salt[:])
	key := argon2.IDKey([]byte(password), salt[:], uint32(h.opts.Time), uint32(h.opts.Memory), uint8(h.opts.Threads), 32)
	return h.phc(salt[:], key), nil
}

// Unknown is a hash that nobody has the password of. To check it takes as
// long as any other.
func (h *Hasher) Unknown() string {
	var b [48]byte
	rand.Read(b[:])
	return h.phc(b[:16], b[16:])
}

// Matches tells whether a hash is that of the password. It answers at once
// for one that was right a moment ago, and waits for its turn otherwise.
func (h *Hasher) Matches(ctx context.Context, hash, password string) (bool, error) {
	if _, ok := h.seen.Find(hash, password); ok {
		return true, nil
	}
	if err := h.enter(ctx); err != nil {
		return false, err
	}
	defer h.leave()
	// A client's first requests arrive together: the one before may have done the work.
	if _, ok := h.seen.Find(hash, password); ok {
		return true, nil
	}
	if !matches(hash, password) {
		return false, nil
	}
	h.seen.Add(hash, password, struct{}{})
	return true, nil
}

// Check says whether a text is a hash that Matches can check.
func Check(hash string) error {
	_, _, _, _, _, err := parse(hash)
	return err
}

func (h *Hasher) phc(salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version,
		h.opts.Memory, h.opts.Time, h.opts.Threads, b64.EncodeToString(salt), b64.EncodeToString(key))
}

// parse takes a PHC string apart; what costs more than any Options allow is refused.
func parse(phc string) (salt, key []byte, memory, time uint32, threads uint8, err error) {
	part := strings.Split(phc, "$")
	if len(part) != 6 || part[0] != "" || part[1] != "argon2id" || part[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return nil, nil, 0, 0, 0, fmt.Errorf("not an argon2id hash of version %d", argon2.Version)
	}
	if _, err = fmt.Sscanf(part[3]+"\n", "m=%d,t=%d,p=%d\n", &memory, &time, &threads); err != nil {
		return nil, nil, 0, 0, 0, fmt.Errorf("parameters %q of an argon2id hash: %w", part[3], err)
	}
	if memory < 8 || memory > 4<<20 || time < 1 || time > 100 || threads < 1 || threads > 64 {
		return nil, nil, 0, 0, 0, fmt.Errorf("parameters %q of an argon2id hash are out of range", part[3])
	}
	salt, err = base64.RawStdEncoding.DecodeString(part[4])
	if err == nil {
		key, err = base64.RawStdEncoding.DecodeString(part[5])
	}
	if err != nil || len(salt) < 8 || len(salt) > 64 || len(key) < 16 || len(key) > 64 {
		return nil, nil, 0, 0, 0, fmt.Errorf("salt or key of an argon2id hash is malformed")
	}
	return salt, key, memory, time, threads, nil
}

func matches(phc, password string) bool {
	salt, key, memory, time, threads, err := parse(phc)
	if err != nil {
		return false
	}
	got := argon2.IDKey([]byte(password), salt, time, memory, threads, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1
}
