package ocs

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"opencloud/api/httpx"
	"opencloud/cloud"
)

// The document has a key for whatever clients look for, and says of each what
// is true: a client that believes it uses nothing that is not there.
type (
	answer struct {
		Version      version      `json:"version"`
		Capabilities capabilities `json:"capabilities"`
	}
	version struct {
		Major          int    `json:"major"`
		Minor          int    `json:"minor"`
		Micro          int    `json:"micro"`
		String         string `json:"string"`
		Edition        string `json:"edition"`
		Product        string `json:"product"`
		ProductVersion string `json:"productversion"`
	}
	capabilities struct {
		Core           coreCap        `json:"core"`
		Checksums      checksums      `json:"checksums"`
		Files          files          `json:"files"`
		DAV            dav            `json:"dav"`
		FilesSharing   filesSharing   `json:"files_sharing"`
		Spaces         spaces         `json:"spaces"`
		Graph          graph          `json:"graph"`
		PasswordPolicy passwordPolicy `json:"password_policy"`
		Search         search         `json:"search"`
		Theme          theme          `json:"theme"`
		Notifications  notifications  `json:"notifications"`
		Groupware      enabled        `json:"groupware"`
	}
	enabled struct {
		Enabled bool `json:"enabled"`
	}

	coreCap struct {
		PollInterval    int    `json:"pollinterval"` // seconds
		WebDAVRoot      string `json:"webdav-root"`
		Status          status `json:"status"`
		URLSigning      bool   `json:"support-url-signing"`
		SSE             bool   `json:"support-sse"`
		Radicale        bool   `json:"support-radicale"`
		CheckForUpdates bool   `json:"check-for-updates"`
	}
	status struct {
		Installed      bool   `json:"installed"`
		Maintenance    bool   `json:"maintenance"`
		NeedsDBUpgrade bool   `json:"needsDbUpgrade"`
		Version        string `json:"version"`
		VersionString  string `json:"versionstring"`
		Edition        string `json:"edition"`
		ProductName    string `json:"productname"`
		Product        string `json:"product"`
		ProductVersion string `json:"productversion"`
		Hostname       string `json:"hostname"`
	}
	checksums struct {
		SupportedTypes      []string `json:"supportedTypes"`
		PreferredUploadType string   `json:"preferredUploadType"`
	}

	files struct {
		PrivateLinks      bool       `json:"privateLinks"`
		BigFileChunking   bool       `json:"bigfilechunking"`
		Undelete          bool       `json:"undelete"`
		PermanentDeletion bool       `json:"permanent_deletion"`
		Versioning        bool       `json:"versioning"`
		Favorites         bool       `json:"favorites"`
		FullTextSearch    bool       `json:"full_text_search"`
		Tags              bool       `json:"tags"`
		BlacklistedFiles  []string   `json:"blacklisted_files"`
		TusSupport        tus        `json:"tus_support"`
		Archivers         []archiver `json:"archivers"`
		AppProviders      []string   `json:"app_providers"`
	}
	// Clients take the limits for text.
	archiver struct {
		Enabled  bool     `json:"enabled"`
		Version  string   `json:"version"`
		Formats  []string `json:"formats"`
		URL      string   `json:"archiver_url"`
		MaxFiles int      `json:"max_num_files,string"`
		MaxSize  int64    `json:"max_size,string"`
	}
	tus struct {
		Version        string `json:"version"`
		Resumable      string `json:"resumable"`
		Extension      string `json:"extension"`
		MaxChunkSize   int64  `json:"max_chunk_size"`
		MethodOverride string `json:"http_method_override"`
	}
	dav struct {
		Reports                       []string `json:"reports"`
		Chunking                      string   `json:"chunking"`
		Trashbin                      string   `json:"trashbin"`
		ChunkingParallelUploadDisable bool     `json:"chunkingParallelUploadDisabled"`
	}

	filesSharing struct {
		APIEnabled           bool            `json:"api_enabled"`
		CanRename            bool            `json:"can_rename"`
		GroupSharing         bool            `json:"group_sharing"`
		SharingRoles         bool            `json:"sharing_roles"`
		DenyAccess           bool            `json:"deny_access"`
		AutoAcceptShare      bool            `json:"auto_accept_share"`
		GroupMembersOnly     bool            `json:"share_with_group_members_only"`
		MembershipGroupsOnly bool            `json:"share_with_membership_groups_only"`
		SearchMinLength      int             `json:"search_min_length"`
		DefaultPermissions   int             `json:"default_permissions"`
		Resharing            bool            `json:"resharing"`
		UserEnumeration      userEnumeration `json:"user_enumeration"`
		Federation           federation      `json:"federation"`
		Public               public          `json:"public"`
		User                 userSharing     `json:"user"`
	}
	userEnumeration struct {
		Enabled          bool `json:"enabled"`
		GroupMembersOnly bool `json:"group_members_only"`
	}
	federation struct {
		Outgoing bool `json:"outgoing"`
		Incoming bool `json:"incoming"`
	}
	public struct {
		Enabled                    bool           `json:"enabled"`
		SendMail                   bool           `json:"send_mail"`
		SocialShare                bool           `json:"social_share"`
		Upload                     bool           `json:"upload"`
		Multiple                   bool           `json:"multiple"`
		SupportsUploadOnly         bool           `json:"supports_upload_only"`
		CanEdit                    bool           `json:"can_edit"`
		Alias                      bool           `json:"alias"`
		DefaultPermissions         int            `json:"default_permissions"`
		DefaultPublicLinkShareName string         `json:"defaultPublicLinkShareName"`
		Password                   publicPassword `json:"password"`
		ExpireDate                 enabled        `json:"expire_date"`
	}
	publicPassword struct {
		Enforced    bool        `json:"enforced"`
		EnforcedFor enforcedFor `json:"enforced_for"`
	}
	enforcedFor struct {
		ReadOnly        bool `json:"read_only"`
		ReadWrite       bool `json:"read_write"`
		ReadWriteDelete bool `json:"read_write_delete"`
		UploadOnly      bool `json:"upload_only"`
	}
	userSharing struct {
		SendMail       bool      `json:"send_mail"`
		ProfilePicture bool      `json:"profile_picture"`
		Settings       []enabled `json:"settings"`
		ExpireDate     enabled   `json:"expire_date"`
	}

	spaces struct {
		Version   string `json:"version"`
		Enabled   bool   `json:"enabled"`
		Projects  bool   `json:"projects"`
		ShareJail bool   `json:"share_jail"`
		MaxQuota  int64  `json:"max_quota"`
	}
	graph struct {
		PersonalDataExport bool       `json:"personal-data-export"`
		Users              graphUsers `json:"users"`
	}
	graphUsers struct {
		ReadOnlyAttributes     []string `json:"read_only_attributes"`
		CreateDisabled         bool     `json:"create_disabled"`
		DeleteDisabled         bool     `json:"delete_disabled"`
		ChangePasswordDisabled bool     `json:"change_password_self_disabled"`
		EditLoginDisabled      bool     `json:"edit_login_allowed_disabled"`
	}
	passwordPolicy struct {
		MinCharacters          int `json:"min_characters"`
		MaxCharacters          int `json:"max_characters"`
		MinLowercaseCharacters int `json:"min_lowercase_characters"`
		MinUppercaseCharacters int `json:"min_uppercase_characters"`
		MinDigits              int `json:"min_digits"`
		MinSpecialCharacters   int `json:"min_special_characters"`
	}
	search struct {
		Property searchProperties `json:"property"`
	}
	searchProperties struct {
		Name      enabled  `json:"name"`
		MTime     keywords `json:"mtime"`
		Size      enabled  `json:"size"`
		MediaType keywords `json:"mediatype"`
		Type      enabled  `json:"type"`
		Tag       enabled  `json:"tag"`
		Tags      enabled  `json:"tags"`
		Content   enabled  `json:"content"`
		Scope     enabled  `json:"scope"`
	}
	keywords struct {
		Enabled  bool     `json:"enabled"`
		Keywords []string `json:"keywords"`
	}
	theme struct {
		Logo logo `json:"logo"`
	}
	logo struct {
		PermittedFileTypes []string `json:"permitted_file_types"`
	}
	notifications struct {
		Endpoints    []string `json:"ocs-endpoints"`
		Configurable bool     `json:"configurable"`
	}
)

// tellCapabilities says what there is. All that is not set is not there.
func (h *handler) tellCapabilities(r *http.Request, _ string) (any, error) {
	o, site := &h.opts, httpx.From(r.Context()).Site
	none := []string{}
	return answer{
		Version: versionOf(o),
		Capabilities: capabilities{
			Core: coreCap{
				PollInterval: 60,
				WebDAVRoot:   "remote.php/webdav",
				URLSigning:   o.SigningKey != nil,
				SSE:          o.SSE,
				Status: status{
					Installed:      true,
					Version:        o.Version + ".0",
					VersionString:  o.Version,
					Edition:        o.Edition,
					ProductName:    o.Product,
					Product:        o.Product,
					ProductVersion: o.ProductVersion,
					Hostname:       site.URL.Hostname(),
				},
			},
			Checksums: checksums{SupportedTypes: []string{"sha1", "md5", "adler32"}, PreferredUploadType: "sha1"},
			Files: files{
				Undelete:          true,
				PermanentDeletion: true,
				Versioning:        !o.NoVersions,
				BlacklistedFiles:  none,
				TusSupport:        tus{o.TusVersion, o.TusVersion, o.TusExtensions, o.MaxChunkSize, o.MethodOverride},
				Archivers:         archiversOf(o),
				AppProviders:      none,
			},
			DAV:            dav{Reports: none, Trashbin: "1.0"},
			FilesSharing:   sharingOf(o),
			Spaces:         spaces{Version: "1.0.0", Enabled: true, Projects: true, ShareJail: true, MaxQuota: o.MaxQuota},
			Graph:          graph{PersonalDataExport: true, Users: usersOf(o)},
			PasswordPolicy: passwordPolicy{o.Password.Min, o.Password.Max, o.Password.Lower, o.Password.Upper, o.Password.Digits, o.Password.Special},
			Search:         search{searchProperties{MTime: keywords{Keywords: none}, MediaType: keywords{Keywords: none}}},
			Theme:          theme{logo{none}},
			Notifications:  notifications{Endpoints: none},
		},
	}, nil
}

func archiversOf(o *Options) []archiver {
	a := &o.Archiver
	if a.URL == "" {
		return []archiver{}
	}
	return []archiver{{true, a.Version, a.Formats, a.URL, a.MaxFiles, a.MaxSize}}
}

func sharingOf(o *Options) filesSharing {
	writable := o.LinkPassword || o.WritableLinkPassword
	return filesSharing{
		APIEnabled: true, CanRename: true, GroupSharing: true, SharingRoles: true,
		DenyAccess:         slices.ContainsFunc(offered(o, cloud.OnFolder), func(r cloud.ShareRole) bool { return r.Rights == cloud.NoRights }),
		AutoAcceptShare:    o.AutoAccept,
		SearchMinLength:    o.MinSearch,
		DefaultPermissions: 22,
		UserEnumeration:    userEnumeration{Enabled: true},
		Public: public{
			Enabled: true, Upload: true, Multiple: true, SupportsUploadOnly: true, CanEdit: true, Alias: true,
			DefaultPermissions:         o.DefaultLink,
			DefaultPublicLinkShareName: "Public link",
			// A client reads read_write for a file drop, read_write_delete for a
			// link by which everything can be changed.
			Password: publicPassword{o.LinkPassword, enforcedFor{o.LinkPassword, writable, writable, writable}},
		},
		User: userSharing{ProfilePicture: true, Settings: []enabled{}, ExpireDate: enabled{true}},
	}
}

// usersOf says what forms for users should not offer.
func usersOf(o *Options) graphUsers {
	if !o.Elsewhere {
		return graphUsers{ReadOnlyAttributes: []string{}}
	}
	return graphUsers{
		ReadOnlyAttributes: []string{"user.onPremisesSamAccountName", "user.displayName", "user.mail", "user.passwordProfile", "user.accountEnabled"},
		CreateDisabled:     true, DeleteDisabled: true, ChangePasswordDisabled: true,
	}
}

func versionOf(o *Options) version {
	v := version{String: o.Version, Edition: o.Edition, Product: o.Product, ProductVersion: o.ProductVersion}
	numbers := strings.SplitN(o.Version, ".", 3)
	for i, to := range []*int{&v.Major, &v.Minor, &v.Micro} {
		if i < len(numbers) {
			*to, _ = strconv.Atoi(numbers[i])
		}
	}
	return v
}
