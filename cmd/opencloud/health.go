package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"opencloud/cloud"
	"opencloud/config"
)

type healthVerb struct {
	Ready bool `help:"Ask whether it is ready for requests, too."`
}

func (v *healthVerb) Run(ctx context.Context, c *console) error {
	cfg, err := config.Load(config.System())
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(cfg.Debug.Addr)
	if err != nil {
		return cloud.Refuse(cloud.Invalid, "The server has no address to ask (PROXY_DEBUG_ADDR is %q).", cfg.Debug.Addr)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	url := "http://" + net.JoinHostPort(host, port) + "/healthz"
	if v.Ready {
		url = "http://" + net.JoinHostPort(host, port) + "/readyz"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return cloud.Refuse(cloud.Unavailable, "No server answers at %s: %v.", url, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return cloud.Refuse(cloud.Unavailable, "The server says: %s", body)
	}
	_, err = fmt.Fprint(c.out, string(body))
	return err
}
