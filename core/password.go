package core

import (
	_ "embed"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"opencloud/cloud"
)

// PasswordOptions say what a password must be like. The defaults follow NIST
// SP 800-63B-4: a length, no known passwords, no rules on its letters.
type PasswordOptions struct {
	Disabled bool   `yaml:"disabled" env:"OC_PASSWORD_POLICY_DISABLED" default:"false" doc:"Accept any password, for people and for links."`
	Min      int    `yaml:"min_characters" env:"OC_PASSWORD_POLICY_MIN_CHARACTERS" default:"8" doc:"Fewest characters of a password; 15 are advised where it is the only thing that is asked for."`
	Lower    int    `yaml:"min_lowercase_characters" env:"OC_PASSWORD_POLICY_MIN_LOWERCASE_CHARACTERS" default:"0" doc:"Fewest lower-case letters in a password."`
	Upper    int    `yaml:"min_uppercase_characters" env:"OC_PASSWORD_POLICY_MIN_UPPERCASE_CHARACTERS" default:"0" doc:"Fewest upper-case letters in a password."`
	Digits   int    `yaml:"min_digits" env:"OC_PASSWORD_POLICY_MIN_DIGITS" default:"0" doc:"Fewest digits in a password."`
	Special  int    `yaml:"min_special_characters" env:"OC_PASSWORD_POLICY_MIN_SPECIAL_CHARACTERS" default:"0" doc:"Fewest characters in a password that are neither letters nor digits."`
	Banned   string `yaml:"banned_passwords_list" env:"OC_PASSWORD_POLICY_BANNED_PASSWORDS_LIST" default:"" doc:"File of passwords that are refused besides those that everybody knows, one a line."`
}

// MaxPassword is how long a password can be at most, in characters, whatever
// the options say.
const MaxPassword = 256

// A Policy says which passwords are good enough.
type Policy struct {
	PasswordOptions
	known map[string]bool // passwords, in lower case
}

//go:embed passwords.txt
var knownPasswords string

// NewPolicy reads the list of banned passwords, if there is one.
func NewPolicy(opts PasswordOptions) (*Policy, error) {
	p := &Policy{PasswordOptions: opts, known: map[string]bool{}}
	p.ban(knownPasswords)
	if opts.Banned != "" {
		list, err := os.ReadFile(opts.Banned)
		if err != nil {
			return nil, cloud.Refuse(cloud.Invalid, "The list of banned passwords (OC_PASSWORD_POLICY_BANNED_PASSWORDS_LIST) cannot be read: %v.", err)
		}
		p.ban(string(list))
	}
	return p, nil
}

func (p *Policy) ban(list string) {
	for line := range strings.Lines(list) {
		if word := strings.TrimRight(line, "\r\n"); word != "" {
			p.known[strings.ToLower(word)] = true
		}
	}
}

// Check says in a sentence what is wrong with a password. About is what others
// know of the user or the thing it is for, and so no password: names, addresses.
func (p *Policy) Check(password string, about ...string) error {
	switch length := utf8.RuneCountInString(password); {
	case password == "":
		return cloud.Refuse(cloud.Invalid, "The password is empty.")
	case length > MaxPassword:
		return cloud.Refuse(cloud.Invalid, "The password is too long: at most %d characters.", MaxPassword)
	case p.Disabled:
		return nil
	case length < p.Min:
		return cloud.Refuse(cloud.Invalid, "The password is too short: at least %d characters.", p.Min)
	}
	var lower, upper, digits, special int
	for _, r := range password {
		switch {
		case unicode.IsLower(r):
			lower++
		case unicode.IsUpper(r):
			upper++
		case unicode.IsDigit(r):
			digits++
		case !unicode.IsLetter(r):
			special++
		}
	}
	for _, rule := range []struct {
		has, least int
		what       string
	}{{lower, p.Lower, "lower-case letters"}, {upper, p.Upper, "upper-case letters"}, {digits, p.Digits, "digits"}, {special, p.Special, "special characters"}} {
		if rule.has < rule.least {
			return cloud.Refuse(cloud.Invalid, "The password has too few %s: at least %d.", rule.what, rule.least)
		}
	}
	word := strings.ToLower(password)
	if p.known[word] || isRun(word) {
		return cloud.Refuse(cloud.Invalid, "This password is one of the first that somebody would guess. Choose another one.")
	}
	for _, name := range about {
		// Of an address, what is before the @ alone is no better.
		local, _, _ := strings.Cut(name, "@")
		if name != "" && (strings.EqualFold(password, name) || strings.EqualFold(password, local)) {
			return cloud.Refuse(cloud.Invalid, "The password must not be the name or the address of the user.")
		}
	}
	return nil
}

// rows are what a hand runs along, there and back.
var rows = [...]string{
	"abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "zxcvbnm", "yxcvbnm",
	"zyxwvutsrqponmlkjihgfedcba", "09876543210", "poiuytrewq", "poiuztrewq", "poiuytreza", "lkjhgfdsa", "mnbvcxz", "mnbvcxy",
}

// isRun is for a piece of a row, and for one character again and again.
func isRun(word string) bool {
	first, _ := utf8.DecodeRuneInString(word)
	return strings.Trim(word, string(first)) == "" || slices.ContainsFunc(rows[:], func(row string) bool { return strings.Contains(row, word) })
}
