package client

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"opencloud/cloud"
)

// health knows whether the directory answers. When it does not, requests fail
// at once, but for one now and then that tries again.
type health struct {
	log     *slog.Logger
	timeout time.Duration // of a request
	every   time.Duration // how long nobody tries after one who failed

	down  atomic.Bool
	mu    sync.Mutex
	again time.Time // when the next may try
}

var errDown = &cloud.Error{Kind: cloud.Unavailable, Say: "The directory of users does not answer. Try again later."}

func (h *health) allow() error {
	if !h.down.Load() {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if now := time.Now(); now.After(h.again) {
		h.again = now.Add(h.timeout + h.every) // this one will know sooner
		return nil
	}
	return errDown
}

// failed returns what to tell those who asked.
func (h *health) failed(err error) error {
	h.mu.Lock()
	h.again = time.Now().Add(h.every)
	h.mu.Unlock()
	if h.down.CompareAndSwap(false, true) {
		h.log.Error("the directory of users does not answer; it is tried again every now and then", "every", h.every.String(), "error", err)
	}
	return &cloud.Error{Kind: cloud.Unavailable, Say: errDown.Say, Err: err}
}

// undecided lets the next one try: this one did not come to the end.
func (h *health) undecided() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.again = time.Time{}
}

func (h *health) answered() {
	if h.down.Load() && h.down.CompareAndSwap(true, false) {
		h.log.Info("the directory of users answers again")
	}
}
