// Command rival serves a folder with golang.org/x/net/webdav: the plain server
// that ours is measured beside. It checks no password and syncs nothing.
package main

import (
	"log"
	"net/http"
	"os"

	"golang.org/x/net/webdav"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: rival ADDRESS FOLDER")
	}
	log.Fatal(http.ListenAndServe(os.Args[1], &webdav.Handler{FileSystem: webdav.Dir(os.Args[2]), LockSystem: webdav.NewMemLS()}))
}
