package main

import "opencloud/config"

type configVerb struct {
	Docs bool `help:"Print the documentation of all settings instead."`
}

func (v *configVerb) Run(c *console) error {
	if v.Docs {
		_, err := c.out.Write(config.Docs())
		return err
	}
	cfg, err := config.Load(config.System())
	if err != nil {
		return err
	}
	return cfg.Print(c.out)
}
