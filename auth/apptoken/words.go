package apptoken

import (
	"crypto/rand"
	"strings"
)

// A Generator is the form that new tokens have.
type Generator string

const (
	Diceware Generator = "diceware" // words that can be read aloud and typed
	Random   Generator = "random"   // letters and digits
)

// A word is three consonants with two vowels between them, of alphabets in
// which no two letters sound or look much alike: "lusab". There are 65,536,
// so that no list is needed, and six of them are 96 bits.
const (
	consonants   = "bdfghjklmnprstvz"
	vowels       = "aiou"
	wordLetters  = 5
	wordsOfToken = 6
	randomChars  = 26 // of rand.Text: 130 bits
)

// secret makes one.
func (g Generator) secret() string {
	if g == Random {
		return strings.ToLower(rand.Text())
	}
	var bits [2 * wordsOfToken]byte
	rand.Read(bits[:])
	b := make([]byte, 0, wordsOfToken*(wordLetters+1))
	for i := 0; i < len(bits); i += 2 {
		if i > 0 {
			b = append(b, '-')
		}
		n := uint(bits[i])<<8 | uint(bits[i+1])
		b = append(b, consonants[n&15], vowels[n>>4&3], consonants[n>>6&15], vowels[n>>10&3], consonants[n>>12])
	}
	return string(b)
}

// plain is a secret as it is compared: without what people add or change
// when they copy one by hand. ok is false for what cannot be a token, which
// is what most passwords are found to be without asking anybody.
func plain(secret string) (text string, ok bool) {
	const most = 2 * wordLetters * wordsOfToken // with room for separators
	if len(secret) < randomChars || len(secret) > most {
		return "", false
	}
	b := make([]byte, 0, most)
	for _, c := range []byte(secret) {
		switch {
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
		case c == '-' || c == ' ':
			continue
		default:
			return "", false
		}
		b = append(b, c)
	}
	return string(b), len(b) == randomChars || len(b) == wordLetters*wordsOfToken
}
