import { UserManager } from 'oidc-client-ts'

// The frame in which a token is renewed: it hands its address to the app.
void new UserManager({ authority: location.origin, client_id: '', redirect_uri: '' }).signinSilentCallback(location.href)
