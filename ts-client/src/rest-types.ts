// What is said over HTTP of models, narrators and controllers: the generated types, read-only.
import type { Frozen } from './frozen.js'
import type * as wire from './generated/protocol.js'

/** Answer of `GET /models`: the default's name, and every model. */
export type ModelList = Frozen<wire.ModelList>

/** One model: its name, what runs it, whether it may be asked for, and whether it is there. */
export type Model = Frozen<wire.Model>

/** The relay has taken a message, and has answered it unless `respondAsync` was asked for. */
export type NarratorAccepted = Frozen<wire.NarratorAccepted>

/** What has been said in a workspace, the newest first. */
export type NarratorFeed = Frozen<wire.NarratorFeed>

/** One entry of a feed. */
export type FeedEvent = Frozen<wire.FeedEvent>

/** What an entry is; a `narration` of the source `user` was said to the narrator. */
export type FeedEventType = wire.FeedEventType

/** How much an entry matters. */
export type FeedSeverity = wire.FeedSeverity

/** Asks for the lease of an agent. */
export type ControllerRegistration = Frozen<wire.ControllerRegistration>

/** A lease: its name, the token that shows who holds it, and when it ends. */
export type ControllerLease = Frozen<wire.ControllerLease>

/** A lease that was kept alive, and when it ends now. */
export type ControllerKeptAlive = Frozen<wire.ControllerKeptAlive>

/** What a controller may publish; as the event of the same name. */
export type ControllerEvent = Frozen<wire.ControllerEvent>

/** Where the published events are in the conversation's log. */
export type ControllerPublished = Frozen<wire.ControllerPublished>
